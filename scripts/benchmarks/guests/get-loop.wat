;; A component that asks a bucket for one key, as often as it is told: `fill` gives the key its 32 bytes, `loop` reads
;; it n times and answers n. It traps where something else comes back.
(component
  (import "wasi:keyvalue/store@0.2.0-draft" (instance $store
    (type $error-cases (variant (case "no-such-store") (case "access-denied") (case "other" string)))
    (export "error" (type $error (eq $error-cases)))
    (export "bucket" (type $bucket (sub resource)))
    (export "[method]bucket.get" (func (param "self" (borrow $bucket)) (param "key" string)
      (result (result (option (list u8)) (error $error)))))
    (export "[method]bucket.set" (func (param "self" (borrow $bucket)) (param "key" string) (param "value" (list u8))
      (result (result (error $error)))))
    (export "open" (func (param "identifier" string) (result (result (own $bucket) (error $error)))))))
  (alias export $store "bucket" (type $bucket))

  ;; The host asks for memory once for each answer, and the guest is done with it before the next one: all of them get
  ;; the same place.
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
  (core instance $memory (instantiate $memory))
  (core func $open (canon lower (func $store "open")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core func $get (canon lower (func $store "[method]bucket.get")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core func $set (canon lower (func $store "[method]bucket.set")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core func $drop (canon resource.drop $bucket))

  (core module $guest
    (import "host" "memory" (memory 1))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (import "host" "get" (func $get (param i32 i32 i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32 i32)))
    (import "host" "drop" (func $drop (param i32)))
    (data (i32.const 0) "storecount12345678901234567890123456789012")
    ;; Answers are written to 64: whether it is an error, then at 68 what it is.
    (func $bucket (result i32)
      (call $open (i32.const 0) (i32.const 5) (i32.const 64))
      (if (i32.load8_u (i32.const 64)) (then unreachable))
      (i32.load (i32.const 68)))
    (func (export "fill")
      (local $bucket i32)
      (local.set $bucket (call $bucket))
      (call $set (local.get $bucket) (i32.const 5) (i32.const 5) (i32.const 10) (i32.const 32) (i32.const 64))
      (if (i32.load8_u (i32.const 64)) (then unreachable))
      (call $drop (local.get $bucket)))
    (func (export "loop") (param $times i32) (result i32)
      (local $bucket i32) (local $done i32)
      (local.set $bucket (call $bucket))
      (block $end (loop $next
        (br_if $end (i32.ge_u (local.get $done) (local.get $times)))
        (call $get (local.get $bucket) (i32.const 5) (i32.const 5) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 76)) (i32.const 32)) (then unreachable))
        (local.set $done (i32.add (local.get $done) (i32.const 1)))
        (br $next)))
      (call $drop (local.get $bucket))
      (local.get $done)))
  (core instance $host
    (export "memory" (memory $memory "memory"))
    (export "open" (func $open))
    (export "get" (func $get))
    (export "set" (func $set))
    (export "drop" (func $drop)))
  (core instance $guest (instantiate $guest (with "host" (instance $host))))
  (func (export "fill") (canon lift (core func $guest "fill")))
  (func (export "loop") (param "times" u32) (result u32) (canon lift (core func $guest "loop"))))
