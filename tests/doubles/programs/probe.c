/* What tests ask of a sandbox for programs: the first word of standard input says what to do. Built as README.md of
 * deploy/examples/tools says. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static char in[1 << 20];
static volatile int sink;

static int is(const char *word) { return strncmp(in, word, strlen(word)) == 0; }
static int deep(int n) { volatile char room[256]; room[n & 255] = (char)n; return deep(n + 1) + room[n & 255]; }

int main(int argc, char **argv) {
    size_t size = fread(in, 1, sizeof in - 1, stdin);
    long number = strchr(in, ' ') ? atol(strchr(in, ' ')) : 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (is("echo")) { fwrite(in, 1, size, stdout); return 0; }
    if (is("both")) { printf("a\n"); fprintf(stderr, "b"); printf("c"); fprintf(stderr, "d\n"); return 0; }
    if (is("exit")) { printf("before\n"); exit((int)number); }
    if (is("bytes")) { for (int b = 0; b < 256; b++) putchar(b); return 0; }
    if (is("flood")) { static char x[10000]; memset(x, 'x', sizeof x); for (;;) fwrite(x, 1, sizeof x, stdout); }
    if (is("errors")) { for (long n = 0; n < number; n++) fputc('e', stderr); printf("%0*d", (int)number, 0); return 0; }
    printf("before\n");
    if (is("loop")) for (;;) sink++;
    if (is("sleep")) { sleep(60); return 0; }
    if (is("nap")) { usleep(1000); printf("after\n"); return 0; }
    if (is("hoard")) for (;;) { volatile char *more = malloc(1 << 20); if (!more) { printf("no more\n"); return 3; } more[0] = 1; }
    if (is("use")) { volatile char *much = malloc((size_t)number << 20); if (much) much[number] = 1; return much ? 0 : 3; }
    if (is("recurse")) return deep(0);
    if (is("abort")) abort();
    if (is("null")) { volatile char *far = (char *)0xfffffff0u; return *far; }
    if (is("around")) {
        printf("%d %s", argc, argv[0]);
        for (char **e = environ; e && *e; e++) printf(" %s", *e);
        DIR *here = opendir(".");
        printf(" %s", here ? "a folder" : "nothing");
        for (int fd = 3; fd < 20; fd++) if (lseek(fd, 0, SEEK_CUR) >= 0 || errno != EBADF) printf(" fd%d", fd);
        return 0;
    }
    if (is("open")) { char *path = in + 5; path[strcspn(path, "\n")] = 0; FILE *f = fopen(path, "r"); printf("%s\n", f ? "opened" : strerror(errno)); return 0; }
    if (is("write")) { FILE *f = fopen("/leaked", "w"); printf("%s\n", f ? "written" : "refused"); return 0; }
    if (is("count")) { sink++; printf("%d\n", sink); return 0; }
    if (is("time")) { unsigned char noise[8]; getentropy(noise, 8); printf("%ld ", (long)time(NULL)); for (int i = 0; i < 8; i++) printf("%02x", noise[i]); return 0; }
    return 9;
}
