/* Stand between a process and the C library's calls that change a filesystem: count them, let call number `at` fail,
   kill the process there, or write down every call with its data.

   Loaded by LD_PRELOAD, so that native code (SQLite, safetensors, PyTorch) is seen as Python is. Nothing happens before
   shim_arm(); then only paths below `prefix` count. Written by hand for this harness. Linux only. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPEN, WRITE, FSYNC, TRUNCATE, RENAME, EXCHANGE, LINK, UNLINK, MKDIR, RMDIR, MARK };
enum action { COUNT, KILL_BEFORE, KILL_HALF, KILL_AFTER, FAIL, SHORTEN };

static char prefix[PATH_MAX];
static size_t prefix_length;
static int armed, action, error_number, trace_fd = -1;
static long at, span, count;
static unsigned mask;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...)                                                                                          \
    static type (*real)(__VA_ARGS__);                                                                                  \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static ssize_t real_write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return real(fd, data, size);
}

/* ---------------------------------------------------------------------------------------------------- what is asked */

void shim_arm(const char *below, long at_call, int what, int code, long calls, unsigned kinds, int trace) {
    armed = 0;
    snprintf(prefix, sizeof prefix, "%s", below);
    prefix_length = strlen(prefix);
    at = at_call, action = what, error_number = code, span = calls, mask = kinds, trace_fd = trace, count = 0;
    __sync_synchronize();
    armed = 1;
}

long shim_disarm(void) {
    armed = 0;
    return count;
}

long shim_count(void) { return count; }

/* ------------------------------------------------------------------------------------------------------- what is seen */

static int below(const char *path) {
    return !strncmp(path, prefix, prefix_length) && (path[prefix_length] == '/' || !path[prefix_length]);
}

/* Find the whole path of `path` in the directory `dir`, without following links; 0 if it isn't one to watch. */
static int watched(int dir, const char *path, char *whole) {
    char start[PATH_MAX] = "", name[64];
    if (!armed || !path) return 0;
    if (path[0] == '/') return snprintf(whole, PATH_MAX, "%s", path) < PATH_MAX && below(whole);
    if (dir == AT_FDCWD) {
        if (!getcwd(start, sizeof start)) return 0;
    } else {
        snprintf(name, sizeof name, "/proc/self/fd/%d", dir);
        ssize_t length = readlink(name, start, sizeof start - 1);
        if (length < 0) return 0;
        start[length] = 0;
    }
    return snprintf(whole, PATH_MAX, "%s/%s", start, path) < PATH_MAX && below(whole);
}

static int watched_fd(int fd, char *whole) {
    char name[64];
    if (!armed) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int kept = errno;
    ssize_t length = readlink(name, whole, PATH_MAX - 1);
    errno = kept;
    if (length < 0) return 0;
    whole[length] = 0;
    return below(whole);
}

struct record {
    uint8_t kind, flag;
    uint16_t first, second;
    uint16_t spare;
    int64_t offset;
    uint64_t length;
};

static void put(const void *data, size_t size) {
    while (size) {
        ssize_t done = real_write(trace_fd, data, size);
        if (done <= 0) abort();
        data = (const char *)data + done, size -= (size_t)done;
    }
}

static void note(int kind, int flag, const char *one, const char *two, int64_t offset, const void *data, size_t size) {
    if (trace_fd < 0) return;
    int kept = errno;
    struct record r = {(uint8_t)kind, (uint8_t)flag, (uint16_t)strlen(one), (uint16_t)strlen(two), 0, offset, size};
    put(&r, sizeof r), put(one, r.first), put(two, r.second);
    if (data) put(data, size);
    errno = kept;
}

void shim_mark(const char *text) {
    pthread_mutex_lock(&order);
    if (armed) note(MARK, 0, text, "", 0, NULL, 0);
    pthread_mutex_unlock(&order);
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Count a call; say whether it is struck, and let it fail or die here where that comes before it. */
static int strike(int kind) {
    if (!(mask >> kind & 1)) return COUNT;
    long number = __sync_fetch_and_add(&count, 1);
    if (at < 0 || number < at || number - at >= span) return COUNT;
    if (action == KILL_BEFORE || (action == KILL_HALF && kind != WRITE)) die();
    if (action == FAIL) errno = error_number;
    return action;
}

/* Run one call between the count and the record: FAILS is what it returns when it is told to fail. */
#define CALL(kind, fails, perform, record)                                                                             \
    pthread_mutex_lock(&order);                                                                                        \
    int struck = strike(kind);                                                                                         \
    if (struck == FAIL) {                                                                                              \
        pthread_mutex_unlock(&order);                                                                                  \
        return fails;                                                                                                  \
    }                                                                                                                  \
    perform;                                                                                                           \
    if (struck == KILL_AFTER) die();                                                                                   \
    record;                                                                                                            \
    pthread_mutex_unlock(&order)

/* -------------------------------------------------------------------------------------------------------------- files */

static int open_at(int dir, const char *path, int flags, mode_t mode) {
    REAL(int, "openat", int, const char *, int, ...);
    char whole[PATH_MAX];
    int writes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
    if (!writes || (flags & O_TMPFILE) == O_TMPFILE || !watched(dir, path, whole)) return real(dir, path, flags, mode);
    struct stat before;
    int fd, is_new = lstat(whole, &before) != 0;
    CALL(OPEN, -1, fd = real(dir, path, flags, mode),
         if (fd >= 0 && (is_new || flags & O_TRUNC)) note(OPEN, is_new, whole, "", 0, NULL, 0));
    return fd;
}

#define OPENS(name, before, dir)                                                                                       \
    int name(before const char *path, int flags, ...) {                                                                \
        mode_t mode = 0;                                                                                               \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                                           \
            va_list rest;                                                                                              \
            va_start(rest, flags);                                                                                     \
            mode = va_arg(rest, mode_t);                                                                               \
            va_end(rest);                                                                                              \
        }                                                                                                              \
        return open_at(dir, path, flags, mode);                                                                        \
    }
#define COMMA ,
OPENS(open, , AT_FDCWD)
OPENS(open64, , AT_FDCWD)
OPENS(openat, int at_dir COMMA, at_dir)
OPENS(openat64, int at_dir COMMA, at_dir)

int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static FILE *open_stream(const char *path, const char *mode) {
    REAL(FILE *, "fopen64", const char *, const char *);
    char whole[PATH_MAX];
    if (!strpbrk(mode, "wa+") || !watched(AT_FDCWD, path, whole)) return real(path, mode);
    struct stat before;
    int is_new = lstat(whole, &before) != 0;
    FILE *stream;
    CALL(OPEN, NULL, stream = real(path, mode),
         if (stream && (is_new || mode[0] == 'w')) note(OPEN, is_new, whole, "", 0, NULL, 0));
    return stream;
}

FILE *fopen(const char *path, const char *mode) { return open_stream(path, mode); }
FILE *fopen64(const char *path, const char *mode) { return open_stream(path, mode); }

static int64_t position(int fd) {
    struct stat status;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && flags & O_APPEND) return fstat(fd, &status) ? 0 : status.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

static size_t part(int struck, size_t size) {
    return struck == KILL_HALF || (struck == SHORTEN && size > 1) ? size / 2 : size;
}

ssize_t write(int fd, const void *data, size_t size) {
    char whole[PATH_MAX];
    if (!armed || !watched_fd(fd, whole)) return real_write(fd, data, size);
    int64_t where = position(fd);
    ssize_t done;
    CALL(WRITE, -1, done = real_write(fd, data, part(struck, size)); if (struck == KILL_HALF) die(),
         if (done > 0) note(WRITE, 0, whole, "", where, data, (size_t)done));
    return done;
}

static ssize_t write_at(int fd, const void *data, size_t size, off64_t where) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    char whole[PATH_MAX];
    if (!watched_fd(fd, whole)) return real(fd, data, size, where);
    ssize_t done;
    CALL(WRITE, -1, done = real(fd, data, part(struck, size), where); if (struck == KILL_HALF) die(),
         if (done > 0) note(WRITE, 0, whole, "", where, data, (size_t)done));
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t where) { return write_at(fd, data, size, where); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t where) { return write_at(fd, data, size, where); }

ssize_t writev(int fd, const struct iovec *pieces, int n_pieces) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    char whole[PATH_MAX];
    if (!watched_fd(fd, whole)) return real(fd, pieces, n_pieces);
    ssize_t sum = 0;
    for (int i = 0; i < n_pieces; i++) {
        if (!pieces[i].iov_len) continue;
        ssize_t done = write(fd, pieces[i].iov_base, pieces[i].iov_len);
        if (done < 0) return sum ? sum : -1;
        sum += done;
        if ((size_t)done < pieces[i].iov_len) break;
    }
    return sum;
}

/* A copy inside the system is as many bytes written; the bytes are read back for the record. */
static void note_copied(int fd, const char *whole, int64_t where, ssize_t done) {
    if (trace_fd < 0 || done <= 0) return;
    char name[64], *copy = malloc((size_t)done);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    REAL(int, "openat", int, const char *, int, ...);
    int reader = real(AT_FDCWD, name, O_RDONLY, 0);
    if (copy && reader >= 0 && pread(reader, copy, (size_t)done, where) == done)
        note(WRITE, 0, whole, "", where, copy, (size_t)done);
    if (reader >= 0) close(reader);
    free(copy);
}

static ssize_t send_file(int out, int in, off64_t *offset, size_t size) {
    REAL(ssize_t, "sendfile64", int, int, off64_t *, size_t);
    char whole[PATH_MAX];
    if (!watched_fd(out, whole)) return real(out, in, offset, size);
    int64_t where = position(out);
    ssize_t done;
    CALL(WRITE, -1, done = real(out, in, offset, part(struck, size)); if (struck == KILL_HALF) die(),
         note_copied(out, whole, where, done));
    return done;
}

ssize_t sendfile(int out, int in, off_t *offset, size_t size) { return send_file(out, in, (off64_t *)offset, size); }
ssize_t sendfile64(int out, int in, off64_t *offset, size_t size) { return send_file(out, in, offset, size); }

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) {
    REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
    char whole[PATH_MAX];
    if (!watched_fd(out, whole)) return real(in, from, out, to, size, flags);
    int64_t where = to ? *to : position(out);
    ssize_t done;
    CALL(WRITE, -1, done = real(in, from, out, to, part(struck, size), flags); if (struck == KILL_HALF) die(),
         note_copied(out, whole, where, done));
    return done;
}

static int sync_fd(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    char whole[PATH_MAX];
    if (!watched_fd(fd, whole)) return real(fd);
    int failed;
    CALL(FSYNC, -1, failed = real(fd), if (!failed) note(FSYNC, 0, whole, "", 0, NULL, 0));
    return failed;
}

int fsync(int fd) { return sync_fd("fsync", fd); }
int fdatasync(int fd) { return sync_fd("fdatasync", fd); }

static int truncate_fd(int fd, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    char whole[PATH_MAX];
    if (!watched_fd(fd, whole)) return real(fd, size);
    int failed;
    CALL(TRUNCATE, -1, failed = real(fd, size), if (!failed) note(TRUNCATE, 0, whole, "", size, NULL, 0));
    return failed;
}

int ftruncate(int fd, off_t size) { return truncate_fd(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncate_fd(fd, size); }

/* -------------------------------------------------------------------------------------------------------------- names */

int renameat2(int dir, const char *old, int new_dir, const char *new, unsigned flags) {
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
    char one[PATH_MAX], two[PATH_MAX];
    if (!watched(dir, old, one) & !watched(new_dir, new, two)) return real(dir, old, new_dir, new, flags);
    int kind = flags & RENAME_EXCHANGE ? EXCHANGE : RENAME, failed;
    CALL(kind, -1, failed = real(dir, old, new_dir, new, flags),
         if (!failed) note(kind, 0, one, two, 0, NULL, 0));
    return failed;
}

int renameat(int dir, const char *old, int new_dir, const char *new) { return renameat2(dir, old, new_dir, new, 0); }
int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }

int linkat(int dir, const char *old, int new_dir, const char *new, int flags) {
    REAL(int, "linkat", int, const char *, int, const char *, int);
    char one[PATH_MAX], two[PATH_MAX];
    if (!watched(dir, old, one) & !watched(new_dir, new, two)) return real(dir, old, new_dir, new, flags);
    int failed;
    CALL(LINK, -1, failed = real(dir, old, new_dir, new, flags), if (!failed) note(LINK, 0, one, two, 0, NULL, 0));
    return failed;
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int unlinkat(int dir, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    char whole[PATH_MAX];
    if (!watched(dir, path, whole)) return real(dir, path, flags);
    int kind = flags & AT_REMOVEDIR ? RMDIR : UNLINK, failed;
    CALL(kind, -1, failed = real(dir, path, flags), if (!failed) note(kind, 0, whole, "", 0, NULL, 0));
    return failed;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int dir, const char *path, mode_t mode) {
    REAL(int, "mkdirat", int, const char *, mode_t);
    char whole[PATH_MAX];
    if (!watched(dir, path, whole)) return real(dir, path, mode);
    int failed;
    CALL(MKDIR, -1, failed = real(dir, path, mode), if (!failed) note(MKDIR, 0, whole, "", 0, NULL, 0));
    return failed;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* Rust's rustix and other code call the system by number. */
long syscall(long number, ...) {
    REAL(long, "syscall", long, ...);
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_renameat2)
        return renameat2((int)a[0], (const char *)a[1], (int)a[2], (const char *)a[3], (unsigned)a[4]);
    if (number == SYS_renameat) return renameat((int)a[0], (const char *)a[1], (int)a[2], (const char *)a[3]);
    if (number == SYS_unlinkat) return unlinkat((int)a[0], (const char *)a[1], (int)a[2]);
    if (number == SYS_mkdirat) return mkdirat((int)a[0], (const char *)a[1], (mode_t)a[2]);
    if (number == SYS_fsync) return fsync((int)a[0]);
    if (number == SYS_fdatasync) return fdatasync((int)a[0]);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
