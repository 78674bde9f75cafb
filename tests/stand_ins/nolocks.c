/* A file system whose locks keep nobody out: every flock(2), or every POSIX lock, is granted. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static int lies(const char *kind) {
    const char *wanted = getenv("NO_LOCKS");
    return wanted != NULL && strcmp(wanted, kind) == 0;
}

int flock(int descriptor, int operation) {
    int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
    return lies("flock") ? 0 : real(descriptor, operation);
}

static int control(const char *name, int descriptor, int command, void *argument) {
    int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, name);
    if (lies("posix") && (command == F_OFD_SETLK || command == F_SETLK)) return 0;
    return real(descriptor, command, argument);
}

int fcntl(int descriptor, int command, ...) {
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    return control("fcntl", descriptor, command, argument);
}

int fcntl64(int descriptor, int command, ...) {
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    return control("fcntl64", descriptor, command, argument);
}
