/*
 * The functions of wasi:http that hello-http calls, as the canonical ABI of the component model lowers them to C:
 * https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md. The interfaces themselves are
 * in wit/. A toolchain with bindings (wit-bindgen, cargo-component) writes this file for you.
 *
 * - A resource is a number, its handle. "own" handles are given away by the call, or dropped when they are done with.
 * - A string or a list is a pointer and a length.
 * - A result or an option of one number is that number; larger ones are written to a place that the caller gives.
 */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(interface, name) __attribute__((import_module(interface), import_name(name))) extern
#define TYPES "wasi:http/types@0.2.3"
#define STREAMS "wasi:io/streams@0.2.3"

typedef int32_t handle;

/* Bytes that the host allocated with cabi_realloc: whoever gets them frees them. */
typedef struct {
  uint8_t *data;
  size_t size;
} bytes;

/* option<string> */
typedef struct {
  uint8_t is_some;
  bytes text;
} optional_text;

/* result<own<…>>, where an error carries nothing. */
typedef struct {
  uint8_t is_err;
  handle ok;
} result_handle;

/* variant method; `other` has a name of its own. */
enum { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_OTHER = 9 };
typedef struct {
  uint8_t tag;
  bytes other;
} method;

/* result<list<u8>, stream-error> and result<_, stream-error> */
enum { STREAM_FAILED, STREAM_CLOSED };
typedef struct {
  uint8_t tag;
  handle failure;
} stream_error;
typedef struct {
  uint8_t is_err;
  union {
    bytes ok;
    stream_error error;
  };
} result_bytes;

/* variant error-code, of which this guest reads no more than which one it is. */
typedef struct {
  uint8_t tag;
  uint64_t payload[3];
} error_code;

/* result<_, error-code> and result<own<…>, error-code> */
typedef struct {
  uint8_t is_err;
  union {
    handle ok;
    error_code error;
  };
} result_or_code;

/* option<result<result<own<incoming-response>, error-code>>> */
typedef struct {
  uint8_t is_some;
  struct {
    uint8_t is_err;
    result_or_code ok;
  } result;
} optional_response;

/* result<_, header-error> */
typedef struct {
  uint8_t is_err;
  uint8_t error;
} result_header;

IMPORT(TYPES, "[constructor]fields") handle fields_new(void);
IMPORT(TYPES, "[method]fields.append")
void fields_append(handle, const char *name, size_t, const char *value, size_t, result_header *);

IMPORT(TYPES, "[method]incoming-request.method") void request_method(handle, method *);
IMPORT(TYPES, "[method]incoming-request.path-with-query") void request_path(handle, optional_text *);
IMPORT(TYPES, "[method]incoming-request.consume") void request_consume(handle, result_handle *);
IMPORT(TYPES, "[resource-drop]incoming-request") void request_drop(handle);

IMPORT(TYPES, "[method]incoming-response.status") int32_t response_status(handle);
IMPORT(TYPES, "[method]incoming-response.consume") void response_consume(handle, result_handle *);
IMPORT(TYPES, "[resource-drop]incoming-response") void response_drop(handle);

IMPORT(TYPES, "[method]incoming-body.stream") void incoming_body_stream(handle, result_handle *);
IMPORT(TYPES, "[resource-drop]incoming-body") void incoming_body_drop(handle);
IMPORT(STREAMS, "[method]input-stream.blocking-read")
void stream_read(handle, uint64_t size, result_bytes *);
IMPORT(STREAMS, "[resource-drop]input-stream") void input_drop(handle);

IMPORT(TYPES, "[constructor]outgoing-response") handle answer_new(handle own_headers);
IMPORT(TYPES, "[method]outgoing-response.set-status-code") int32_t answer_set_status(handle, int32_t);
IMPORT(TYPES, "[method]outgoing-response.body") void answer_body(handle, result_handle *);
/* The last seven are the error-code, where the answer is one. */
IMPORT(TYPES, "[static]response-outparam.set")
void outparam_set(handle own_outparam, int32_t is_err, handle own_answer, int32_t, int64_t, int32_t, int32_t,
                  int32_t, int32_t);

IMPORT(TYPES, "[method]outgoing-body.write") void outgoing_body_write(handle, result_handle *);
IMPORT(TYPES, "[static]outgoing-body.finish")
void outgoing_body_finish(handle own_body, int32_t has_trailers, handle own_trailers, result_or_code *);
/* Dropped without being finished, a body breaks: whoever reads it learns that it is not the whole. */
IMPORT(TYPES, "[resource-drop]outgoing-body") void outgoing_body_drop(handle);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
void stream_write(handle, const uint8_t *, size_t, result_bytes *);
IMPORT(STREAMS, "[resource-drop]output-stream") void output_drop(handle);

IMPORT(TYPES, "[constructor]outgoing-request") handle fetch_new(handle own_headers);
IMPORT(TYPES, "[method]outgoing-request.set-scheme")
int32_t fetch_set_scheme(handle, int32_t is_some, int32_t tag, const char *other, size_t);
IMPORT(TYPES, "[method]outgoing-request.set-authority")
int32_t fetch_set_authority(handle, int32_t is_some, const char *, size_t);
IMPORT(TYPES, "[method]outgoing-request.set-path-with-query")
int32_t fetch_set_path(handle, int32_t is_some, const char *, size_t);
IMPORT(TYPES, "[resource-drop]outgoing-request") void fetch_drop(handle);
IMPORT("wasi:http/outgoing-handler@0.2.3", "handle")
void fetch_send(handle own_request, int32_t has_options, handle own_options, result_or_code *);
IMPORT(TYPES, "[method]future-incoming-response.subscribe") handle future_subscribe(handle);
IMPORT(TYPES, "[method]future-incoming-response.get") void future_get(handle, optional_response *);
IMPORT(TYPES, "[resource-drop]future-incoming-response") void future_drop(handle);
IMPORT("wasi:io/poll@0.2.3", "[method]pollable.block") void pollable_block(handle);
IMPORT("wasi:io/poll@0.2.3", "[resource-drop]pollable") void pollable_drop(handle);
IMPORT("wasi:io/error@0.2.3", "[resource-drop]error") void error_drop(handle);
