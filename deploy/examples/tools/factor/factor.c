/* A tool in C: {"n": 600851475143} on standard input gives {"factors": [71, 839, 1471, 6857]} on standard output.
 * What is wrong goes to standard error, with another exit code than 0. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    static char arguments[4096];
    size_t size = fread(arguments, 1, sizeof arguments - 1, stdin);
    arguments[size] = '\0';
    /* The arguments fit the schema of the manifest, so that `n` is there, once, and an integer of at least 2. */
    char *colon = strstr(arguments, "\"n\"");
    colon = colon ? strchr(colon, ':') : NULL;
    errno = 0;
    unsigned long long n = colon ? strtoull(colon + 1, NULL, 10) : 0;
    if (n < 2 || errno == ERANGE) {
        fprintf(stderr, "n must be an integer from 2 to %llu\n", ~0ULL);
        return 1;
    }
    const char *separator = "";
    printf("{\"factors\": [");
    for (unsigned long long p = 2; p <= n / p; p += p > 2 ? 2 : 1)
        for (; n % p == 0; n /= p, separator = ", ")
            printf("%s%llu", separator, p);
    if (n > 1)
        printf("%s%llu", separator, n);
    printf("]}\n");
    return 0;
}
