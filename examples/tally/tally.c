/*
 * A WASI reactor: it stays, and each exported function is an operation. stdin is the payload of the present call and
 * stdout its answer. Plain read and write: a FILE would remember the end of the last payload, and the next call would
 * find nothing to read.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OPERATION(name) __attribute__((export_name(#name))) void name(void)

static char chunk[4096];

static void answer(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(STDOUT_FILENO, bytes, length);
    if (written <= 0) __builtin_trap();
    bytes += written;
    length -= (size_t)written;
  }
}

/* The payload in capital letters. */
OPERATION(upper) {
  ssize_t length;
  while ((length = read(STDIN_FILENO, chunk, sizeof chunk)) > 0) {
    for (ssize_t i = 0; i < length; i++) chunk[i] = (char)toupper((unsigned char)chunk[i]);
    answer(chunk, (size_t)length);
  }
}

/* "<lines> <words> <bytes>" of the payload. */
OPERATION(count) {
  unsigned long lines = 0, words = 0, bytes = 0;
  int inside = 0;
  ssize_t length;
  while ((length = read(STDIN_FILENO, chunk, sizeof chunk)) > 0) {
    bytes += (unsigned long)length;
    for (ssize_t i = 0; i < length; i++) {
      int space = isspace((unsigned char)chunk[i]);
      lines += chunk[i] == '\n';
      words += !space && !inside;
      inside = !space;
    }
  }
  int size = snprintf(chunk, sizeof chunk, "%lu %lu %lu", lines, words, bytes);
  answer(chunk, (size_t)size);
}
