/*
 * A WASI command: each call is a run of its own. argv[1] is the operation, stdin the payload, stdout the answer, stderr
 * the log, and the environment is what the start command gave.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1024 };

/* The payload up to its first line end; an empty one stands for the world. */
static const char *read_name(char *line) {
  size_t length = fread(line, 1, LINE_MAX_BYTES - 1, stdin);
  line[length] = '\0';
  line[strcspn(line, "\r\n")] = '\0';
  return line[0] == '\0' ? "world" : line;
}

static int greet(const char *name) {
  const char *greeting = getenv("GREETING");
  fprintf(stderr, "greeting %s\n", name);
  printf("%s, %s!", greeting == NULL ? "Hello" : greeting, name);
  return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
  char line[LINE_MAX_BYTES];
  const char *operation = argc > 1 ? argv[1] : "greet";
  const char *name = read_name(line);
  if (strcmp(operation, "greet") == 0) return greet(name);
  if (strcmp(operation, "exit") == 0) return atoi(name);
  fprintf(stderr, "this guest has no operation \"%s\"; it has greet, exit\n", operation);
  return EXIT_FAILURE;
}
