/*
 * A component of about 226 KB, most of it the C library: all of its functions of one and two numbers, in float, double
 * and long double, its complex ones, regular expressions and password hashes. What a program of some size brings with
 * it, and none of it is padding: `evaluate` and `hash` reach all of it.
 */
#include <complex.h>
#include <crypt.h>
#include <math.h>
#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

#define OF_ONE(X)                                                                                                     \
  X(acos) X(acosh) X(asin) X(asinh) X(atan) X(atanh) X(cbrt) X(ceil) X(cos) X(cosh) X(erf) X(erfc) X(exp) X(exp2)      \
  X(expm1) X(fabs) X(floor) X(lgamma) X(log) X(log10) X(log1p) X(log2) X(logb) X(nearbyint) X(rint) X(round) X(sin)   \
  X(sinh) X(sqrt) X(tan) X(tanh) X(tgamma) X(trunc)
#define OF_TWO(X)                                                                                                     \
  X(atan2) X(copysign) X(fdim) X(fmax) X(fmin) X(fmod) X(hypot) X(nextafter) X(pow) X(remainder)
#define OF_COMPLEX(X)                                                                                                 \
  X(cacos) X(cacosh) X(casin) X(casinh) X(catan) X(catanh) X(ccos) X(ccosh) X(cexp) X(clog) X(csin) X(csinh) X(csqrt) \
  X(ctan) X(ctanh)
#define IN_FLOAT(name) name##f,
#define IN_DOUBLE(name) name,
#define IN_LONG_DOUBLE(name) name##l,

static float (*const floats[])(float) = {OF_ONE(IN_FLOAT)};
static double (*const doubles[])(double) = {OF_ONE(IN_DOUBLE)};
static long double (*const long_doubles[])(long double) = {OF_ONE(IN_LONG_DOUBLE)};
static double (*const pairs[])(double, double) = {OF_TWO(IN_DOUBLE)};
static long double (*const long_pairs[])(long double, long double) = {OF_TWO(IN_LONG_DOUBLE)};
static double complex (*const complexes[])(double complex) = {OF_COMPLEX(IN_DOUBLE)};
static long double complex (*const long_complexes[])(long double complex) = {OF_COMPLEX(IN_LONG_DOUBLE)};

/* The library's own would bring standard error with it, which this component does not import. */
_Noreturn void __assert_fail(const char *, const char *, int, const char *);
_Noreturn void __assert_fail(const char *expression, const char *file, int line, const char *function) {
  (void)expression, (void)file, (void)line, (void)function;
  __builtin_trap();
}

/* The function of that number on x, summed up over all the kinds of numbers that it is there for. */
EXPORT("evaluate") double evaluate(uint32_t which, double x) {
  size_t one = which % LENGTH(doubles), two = which % LENGTH(pairs), three = which % LENGTH(complexes);
  double sum = floats[one]((float)x) + doubles[one](x) + (double)long_doubles[one](x);
  sum += pairs[two](x, 2) + (double)long_pairs[two](x, 2);
  return sum + creal(complexes[three](x)) + (double)creall(long_complexes[three](x));
}

/* Eight letters of the hash of that number under one of the library's methods; 0 when they are no letters. */
EXPORT("hash") uint32_t hash(uint32_t method, uint32_t number) {
  static const char *const salts[] = {"ab", "$1$abcdefgh$", "$5$rounds=1000$abcdefgh$", "$6$rounds=1000$abcdefgh$"};
  char text[12];
  size_t length = 0;
  do text[length++] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  text[length] = 0;
  const char *hashed = crypt(text, salts[method % LENGTH(salts)]);
  regex_t letters;
  if (hashed == NULL || regcomp(&letters, "[./0-9A-Za-z]{8}$", REG_EXTENDED) != 0) return 0;
  regmatch_t match;
  bool found = regexec(&letters, hashed, 1, &match, 0) == 0;
  regfree(&letters);
  return found ? (uint32_t)strtoul(hashed + match.rm_so, NULL, 36) : 0;
}
