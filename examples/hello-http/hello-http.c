/*
 * A component that answers HTTP requests:
 *
 *   GET  /                  a greeting
 *   POST /                  the body comes back, piece by piece; no more than one piece is held at a time
 *   GET  /fetch?url=http…   what is found there, if this guest was granted http
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wasi-http.h"

/* What one blocking-write-and-flush takes; https://github.com/WebAssembly/wasi-io, wit/streams.wit. */
enum { PIECE_BYTES = 4096 };

/* The host asks for memory here whenever it hands over a string or a list. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t, size_t, size_t);
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old_size;
  (void)align; /* malloc aligns to 16, more than any type of an interface needs. */
  if (size == 0) return (void *)align;
  void *place = realloc(old, size);
  if (place == NULL) abort();
  return place;
}

/* An empty string or list comes without memory. */
static void release(bytes taken) {
  if (taken.size > 0) free(taken.data);
}

/* Sends status and headers, and gives the body that is still to be written. */
static handle begin_answer(handle outparam, int32_t status, const char *type) {
  result_header appended;
  result_handle body;
  handle headers = fields_new();
  fields_append(headers, "content-type", strlen("content-type"), type, strlen(type), &appended);
  handle answer = answer_new(headers);
  answer_set_status(answer, status);
  answer_body(answer, &body);
  outparam_set(outparam, false, answer, 0, 0, 0, 0, 0, 0);
  return body.ok;
}

/* A body that was not written to its end must break, not look complete. */
static void end_body(handle body, bool is_whole) {
  result_or_code finished;
  if (is_whole) outgoing_body_finish(body, false, 0, &finished);
  else outgoing_body_drop(body);
}

static void drop_error(stream_error error) {
  if (error.tag == STREAM_FAILED) error_drop(error.failure);
}

static bool write_all(handle output, const uint8_t *data, size_t size) {
  result_bytes written;
  for (size_t at = 0; at < size; at += PIECE_BYTES) {
    size_t piece = size - at < PIECE_BYTES ? size - at : PIECE_BYTES;
    stream_write(output, data + at, piece, &written);
    if (!written.is_err) continue;
    drop_error(written.error);
    return false;
  }
  return true;
}

static void answer_text(handle outparam, int32_t status, const char *text) {
  result_handle output;
  handle body = begin_answer(outparam, status, "text/plain");
  outgoing_body_write(body, &output);
  bool is_whole = write_all(output.ok, (const uint8_t *)text, strlen(text));
  output_drop(output.ok);
  end_body(body, is_whole);
}

/* Copies one body into another; false when either broke before its end. */
static bool copy(handle from, handle to) {
  for (;;) {
    result_bytes piece;
    stream_read(from, 16 * PIECE_BYTES, &piece);
    if (piece.is_err) {
      drop_error(piece.error);
      return piece.error.tag == STREAM_CLOSED;
    }
    bool is_written = write_all(to, piece.ok.data, piece.ok.size);
    release(piece.ok);
    if (!is_written) return false;
  }
}

/* Answers with a body that came from elsewhere. */
static void answer_body_of(handle outparam, int32_t status, handle incoming) {
  result_handle input, output;
  incoming_body_stream(incoming, &input);
  handle body = begin_answer(outparam, status, "application/octet-stream");
  outgoing_body_write(body, &output);
  bool is_whole = copy(input.ok, output.ok);
  input_drop(input.ok);
  incoming_body_drop(incoming);
  output_drop(output.ok);
  end_body(body, is_whole);
}

static void echo(handle request, handle outparam) {
  result_handle incoming;
  request_consume(request, &incoming);
  answer_body_of(outparam, 200, incoming.ok);
}

/* "http://example.com/a?b" in its parts; false for what is no such URL. */
static bool set_url(handle request, const char *url, size_t size) {
  enum { SCHEME_HTTP, SCHEME_HTTPS };
  bool is_https = size > 8 && memcmp(url, "https://", 8) == 0;
  if (!is_https && !(size > 7 && memcmp(url, "http://", 7) == 0)) return false;
  const char *authority = url + (is_https ? 8 : 7), *end = url + size;
  const char *path = memchr(authority, '/', (size_t)(end - authority));
  if (path == NULL) path = end;
  return fetch_set_scheme(request, true, is_https ? SCHEME_HTTPS : SCHEME_HTTP, NULL, 0) == 0 &&
         fetch_set_authority(request, true, authority, (size_t)(path - authority)) == 0 &&
         fetch_set_path(request, path < end, path, (size_t)(end - path)) == 0;
}

/* Suspended until the answer is there; its handle, or −1. */
static handle await_response(handle future) {
  optional_response got;
  handle answered = future_subscribe(future);
  pollable_block(answered);
  pollable_drop(answered);
  future_get(future, &got);
  future_drop(future);
  return got.is_some && !got.result.is_err && !got.result.ok.is_err ? got.result.ok.ok : -1;
}

static void fetch(handle outparam, const char *url, size_t size) {
  result_or_code future;
  result_handle incoming;
  handle request = fetch_new(fields_new());
  if (!set_url(request, url, size)) {
    fetch_drop(request);
    answer_text(outparam, 400, "That is no URL of http or https.\n");
    return;
  }
  fetch_send(request, false, 0, &future);
  handle response = future.is_err ? -1 : await_response(future.ok);
  if (response < 0) {
    answer_text(outparam, 502, "It could not be fetched.\n");
    return;
  }
  response_consume(response, &incoming);
  answer_body_of(outparam, response_status(response), incoming.ok);
  response_drop(response);
}

static bool begins_with(bytes text, const char *start) {
  size_t size = strlen(start);
  return text.size >= size && memcmp(text.data, start, size) == 0;
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.3#handle"))) void handle_request(handle, handle);
void handle_request(handle request, handle outparam) {
  static const char fetch_path[] = "/fetch?url=";
  method asked;
  optional_text path;
  request_method(request, &asked);
  request_path(request, &path);
  if (asked.tag == METHOD_POST) {
    echo(request, outparam);
  } else if (asked.tag != METHOD_GET) {
    answer_text(outparam, 405, "There is GET and POST.\n");
  } else if (path.is_some && begins_with(path.text, fetch_path)) {
    size_t skipped = strlen(fetch_path);
    fetch(outparam, (const char *)path.text.data + skipped, path.text.size - skipped);
  } else {
    answer_text(outparam, 200, "Hello from a component.\n");
  }
  if (path.is_some) release(path.text);
  if (asked.tag == METHOD_OTHER) release(asked.other);
  request_drop(request);
}
