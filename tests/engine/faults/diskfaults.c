/* Loaded into a process ahead of the C library (LD_PRELOAD): the k-th change of a file below a folder fails, as a disk
 * would make it fail; or all of them while a switch is on, as on a disk that is full for a while; or every write takes
 * only half of what it is given. And the wall clock is
 * as far off as a file says. Everything above is the real thing: Python, SQLite and Arrow see what the system call
 * returned. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static char prefix[PATH_MAX];
static long at, count;
static int error_number, is_lasting;

/* In place of the number of an error: nothing is refused, each write below the folder takes half of its bytes. */
#define SHORT_WRITES (-1)

/* Of all processes that were started with FAULT_WORLD, a file of 16 bytes: whether the disk is full, and by how many
 * seconds the wall clock is off. */
static volatile long *world;

/* The number of changes below the folder since then. */
long fault_count(void) { return count; }

/* Fail the k-th change below `folder` with `number`; with `lasting` every one from there on. k = 0 fails none. */
void fault_arm(const char *folder, long k, int number, int lasting) {
    snprintf(prefix, sizeof prefix, "%s", folder);
    at = k;
    error_number = number;
    is_lasting = lasting;
    count = 0;
}

__attribute__((constructor)) static void from_environment(void) {
    const char *folder = getenv("FAULT_FOLDER"), *shared = getenv("FAULT_WORLD"), *first = getenv("FAULT_AT");
    if (folder) fault_arm(folder, first ? atol(first) : 0, first ? atoi(getenv("FAULT_ERRNO")) : ENOSPC, 1);
    int file = shared ? open(shared, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, 2 * sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) world = mapped;
}

static long clock_offset(void) { return world ? world[1] : 0; }

static int refuses(const char *path) {
    size_t length = strlen(prefix);
    if (!length || !path || strncmp(path, prefix, length) || (path[length] && path[length] != '/')) return 0;
    if (world) {
        if (!world[0]) return 0;
        errno = error_number;
        return 1;
    }
    count++;
    if (error_number == SHORT_WRITES) return 0;
    if (!at || (is_lasting ? count < at : count != at)) return 0;
    errno = error_number;
    return 1;
}

static int refuses_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (!prefix[0]) return 0;
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (length < 0) return 0;
    path[length] = 0;
    return refuses(path);
}

static int refuses_at(int folder, const char *name) {
    char path[PATH_MAX * 2], link[64];
    if (!prefix[0] || !name) return 0;
    if (name[0] == '/') return refuses(name);
    if (folder == AT_FDCWD) {
        if (!getcwd(path, PATH_MAX)) return 0;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, path, PATH_MAX - 1);
        if (length < 0) return 0;
        path[length] = 0;
    }
    strcat(path, "/");
    strncat(path, name, PATH_MAX - 1);
    return refuses(path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CHANGES (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)

static size_t taken(int fd, size_t size) {
    if (error_number != SHORT_WRITES || size < 2) return size;
    long before = count;
    refuses_fd(fd);
    return count > before ? size / 2 : size;
}

ssize_t write(int fd, const void *data, size_t size) {
    return refuses_fd(fd) ? -1 : NEXT(write)(fd, data, taken(fd, size));
}
ssize_t pwrite(int fd, const void *d, size_t n, off_t o) {
    return refuses_fd(fd) ? -1 : NEXT(pwrite)(fd, d, taken(fd, n), o);
}
ssize_t pwrite64(int fd, const void *d, size_t n, off64_t o) {
    return refuses_fd(fd) ? -1 : NEXT(pwrite64)(fd, d, taken(fd, n), o);
}
int fsync(int fd) { return refuses_fd(fd) ? -1 : NEXT(fsync)(fd); }
int fdatasync(int fd) { return refuses_fd(fd) ? -1 : NEXT(fdatasync)(fd); }
int ftruncate(int fd, off_t n) { return refuses_fd(fd) ? -1 : NEXT(ftruncate)(fd, n); }
int ftruncate64(int fd, off64_t n) { return refuses_fd(fd) ? -1 : NEXT(ftruncate64)(fd, n); }
int rename(const char *from, const char *to) { return refuses_at(AT_FDCWD, to) ? -1 : NEXT(rename)(from, to); }
int renameat(int a, const char *from, int b, const char *to) {
    return refuses_at(b, to) ? -1 : NEXT(renameat)(a, from, b, to);
}
int mkdir(const char *path, mode_t mode) { return refuses_at(AT_FDCWD, path) ? -1 : NEXT(mkdir)(path, mode); }

/* A full disk gives back what it holds. */
static int refuses_removal(int folder, const char *path) {
    return !world && error_number != ENOSPC && refuses_at(folder, path);
}
int unlink(const char *path) { return refuses_removal(AT_FDCWD, path) ? -1 : NEXT(unlink)(path); }
int rmdir(const char *path) { return refuses_removal(AT_FDCWD, path) ? -1 : NEXT(rmdir)(path); }
int unlinkat(int folder, const char *path, int flags) {
    return refuses_removal(folder, path) ? -1 : NEXT(unlinkat)(folder, path, flags);
}

static mode_t mode_of(int flags, va_list rest) { return flags & O_CREAT ? va_arg(rest, mode_t) : 0; }

/* A full disk opens what is there. */
static int refuses_open(int folder, const char *path, int flags) {
    if (!(flags & CHANGES) || (world && (!world[0] || !faccessat(folder, path, F_OK, 0)))) return 0;
    return refuses_at(folder, path);
}

#define OPEN(name)                                                                              \
    int name(const char *path, int flags, ...) {                                                \
        va_list rest;                                                                           \
        va_start(rest, flags);                                                                  \
        mode_t mode = mode_of(flags, rest);                                                     \
        va_end(rest);                                                                           \
        return refuses_open(AT_FDCWD, path, flags) ? -1 : NEXT(name)(path, flags, mode);        \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                            \
    int name(int folder, const char *path, int flags, ...) {                                    \
        va_list rest;                                                                           \
        va_start(rest, flags);                                                                  \
        mode_t mode = mode_of(flags, rest);                                                     \
        va_end(rest);                                                                           \
        return refuses_open(folder, path, flags) ? -1 : NEXT(name)(folder, path, flags, mode);  \
    }
OPENAT(openat)
OPENAT(openat64)

int clock_gettime(clockid_t clock, struct timespec *at) {
    int said = NEXT(clock_gettime)(clock, at);
    if (!said && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += clock_offset();
    return said;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    int said = NEXT(gettimeofday)(at, zone);
    if (!said) at->tv_sec += clock_offset();
    return said;
}
time_t time(time_t *at) {
    time_t now = NEXT(time)(NULL) + clock_offset();
    if (at) *at = now;
    return now;
}
