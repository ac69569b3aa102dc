/*
 * Named points in the life of a process: a library that is loaded before it (LD_PRELOAD) and ends it, or fails the call, at
 * the n-th passage of one of them.
 *
 * Owns: which call on which file or socket is which point, and the count of passages. May not: be part of anything that
 * ships; the programs under test are the shipped ones and know nothing of this.
 *
 * It shares one page with the story, which is mapped before the process confines itself: the story arms a point while the
 * process runs and reads how often each was passed. POINTS_ROLE names the process, POINTS_PAGE the file of the page.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* === the page; tests/src/world/points.rs has the same figures === */

#define PAGE_BYTES 16384
#define NAME_BYTES 48
#define MARK_BYTES 48
#define POINTS_MAX 64

enum action { ACT_KILL = 1, ACT_EIO = 2, ACT_ENOSPC = 3 };

struct point {
    char name[NAME_BYTES];
    uint64_t passages;     /* that carried the mark */
    uint64_t bytes_min;    /* shorter buffers do not count */
    uint64_t mark_bytes;   /* 0: every buffer counts */
    uint8_t mark[MARK_BYTES];
};

struct page {
    uint64_t armed;        /* number of a point, from 1; 0: none */
    uint64_t remaining;    /* passages until it acts */
    uint64_t action;
    uint64_t acted;        /* the passage at which it acted; 0: not yet */
    uint64_t ledger_port;  /* the ledger server's WebSocket */
    uint64_t caller_port;  /* where the gateway serves its callers */
    uint64_t unused[10];
    struct point points[POINTS_MAX];
};

_Static_assert(sizeof(struct page) <= PAGE_BYTES, "the page has room for all points");

/* === the points === */

#define POINTS(X) \
    X(GATEWAY_STORE_BEFORE_WRITE, "gateway.store.before_write") \
    X(GATEWAY_STORE_AFTER_WRITE, "gateway.store.after_write") \
    X(GATEWAY_STORE_BEFORE_SYNC, "gateway.store.before_sync") \
    X(GATEWAY_STORE_AFTER_SYNC, "gateway.store.after_sync") \
    X(GATEWAY_SIGNER_BEFORE_SEND, "gateway.signer.before_send") \
    X(GATEWAY_SIGNER_AFTER_SEND, "gateway.signer.after_send") \
    X(GATEWAY_SIGNER_AFTER_RECEIVE, "gateway.signer.after_receive") \
    X(GATEWAY_LEDGER_BEFORE_SEND, "gateway.ledger.before_send") \
    X(GATEWAY_LEDGER_AFTER_SEND, "gateway.ledger.after_send") \
    X(GATEWAY_LEDGER_AFTER_RECEIVE, "gateway.ledger.after_receive") \
    X(GATEWAY_ANSWER_BEFORE_SEND, "gateway.answer.before_send") \
    X(GATEWAY_ANSWER_AFTER_SEND, "gateway.answer.after_send") \
    X(SIGNER_REQUEST_AFTER_RECEIVE, "signer.request.after_receive") \
    X(SIGNER_JOURNAL_BEFORE_WRITE, "signer.journal.before_write") \
    X(SIGNER_JOURNAL_AFTER_WRITE, "signer.journal.after_write") \
    X(SIGNER_JOURNAL_BEFORE_SYNC, "signer.journal.before_sync") \
    X(SIGNER_JOURNAL_AFTER_SYNC, "signer.journal.after_sync") \
    X(SIGNER_HEAD_BEFORE_WRITE, "signer.head.before_write") \
    X(SIGNER_HEAD_AFTER_WRITE, "signer.head.after_write") \
    X(SIGNER_HEAD_BEFORE_SYNC, "signer.head.before_sync") \
    X(SIGNER_HEAD_AFTER_SYNC, "signer.head.after_sync") \
    X(SIGNER_ANSWER_BEFORE_SEND, "signer.answer.before_send") \
    X(SIGNER_ANSWER_AFTER_SEND, "signer.answer.after_send") \
    X(LEDGER_REQUEST_AFTER_RECEIVE, "ledger.request.after_receive") \
    X(LEDGER_ANSWER_BEFORE_SEND, "ledger.answer.before_send") \
    X(LEDGER_ANSWER_AFTER_SEND, "ledger.answer.after_send") \
    X(LEDGER_STATE_BEFORE_WRITE, "ledger.state.before_write") \
    X(LEDGER_STATE_AFTER_WRITE, "ledger.state.after_write") \
    X(LEDGER_STATE_BEFORE_SYNC, "ledger.state.before_sync") \
    X(LEDGER_STATE_AFTER_SYNC, "ledger.state.after_sync")

enum {
    NO_POINT = 0,
#define X(id, name) id,
    POINTS(X)
#undef X
    POINTS_END
};

static const char *const NAMES[] = {
    "",
#define X(id, name) name,
    POINTS(X)
#undef X
};

_Static_assert(POINTS_END - 1 <= POINTS_MAX, "every point has its place in the page");

/* Who the process is. */
static enum { NOBODY, GATEWAY, SIGNER, LEDGER } role;
static struct page *page;

/* What a file or socket is, as far as it matters. */
enum kind {
    OTHER,
    STORE_LOG,      /* the log of the gateway's store */
    JOURNAL,        /* the signer's journal */
    HEAD,           /* how far the journal is durable; laid anew at each start, then written over in place */
    LEDGER_STATE,   /* the ledgers that the server keeps */
    SIGNER_LINK,    /* the gateway's connection to the signer */
    SIGNER_PEER,    /* the same one, seen from the signer */
    LEDGER_LINK,    /* the gateway's connection to the ledger's server */
    LEDGER_PEER,    /* the same one, seen from the server */
    CALLER,         /* a caller of the gateway */
};

/* === the calls behind ours === */

#define REAL(name) ((__typeof__(&name))real(&real_##name, #name))
#define DECLARE(name) static void *real_##name
DECLARE(fsync); DECLARE(fdatasync); DECLARE(write); DECLARE(writev); DECLARE(pwrite); DECLARE(pwrite64);
DECLARE(send); DECLARE(sendto); DECLARE(sendmsg); DECLARE(read); DECLARE(readv); DECLARE(recv); DECLARE(recvfrom);
DECLARE(recvmsg);

static void *real(void **known, const char *name) {
    void *found = __atomic_load_n(known, __ATOMIC_RELAXED);
    if (!found) {
        found = dlsym(RTLD_NEXT, name);
        __atomic_store_n(known, found, __ATOMIC_RELAXED);
    }
    return found;
}

/* === starting === */

__attribute__((constructor)) static void points_start(void) {
    const char *name = getenv("POINTS_ROLE");
    const char *path = getenv("POINTS_PAGE");
    if (!name || !path) return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *mapped = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED) return;
    page = mapped;
    for (int at = 1; at < POINTS_END; at++) strncpy(page->points[at - 1].name, NAMES[at], NAME_BYTES - 1);
    if (!strcmp(name, "gateway")) role = GATEWAY;
    else if (!strcmp(name, "signer")) role = SIGNER;
    else if (!strcmp(name, "ledger")) role = LEDGER;
}

/* === what a descriptor is === */

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}

static enum kind kind_of_path(const char *path) {
    if (role == GATEWAY && ends_with(path, "/gateway/paygate.db-wal")) return STORE_LOG;
    if (role == SIGNER && ends_with(path, "/signer/journal/journal")) return JOURNAL;
    if (role == SIGNER && (ends_with(path, "/signer/journal/HEAD") || ends_with(path, "/signer/journal/HEAD.new"))) return HEAD;
    if (role == LEDGER && ends_with(path, "/ledger/ledgers.jsonl")) return LEDGER_STATE;
    return OTHER;
}

static uint64_t port_of(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)address)->sin_port);
    return 0;
}

static enum kind kind_of_socket(int fd) {
    struct sockaddr_storage own = {0}, peer = {0};
    socklen_t own_bytes = sizeof own, peer_bytes = sizeof peer;
    if (getsockname(fd, (struct sockaddr *)&own, &own_bytes)) return OTHER;
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_bytes)) return OTHER;
    if (own.ss_family == AF_UNIX) {
        if (role == GATEWAY && ends_with(((struct sockaddr_un *)&peer)->sun_path, "/run/signer.sock")) return SIGNER_LINK;
        if (role == SIGNER && ends_with(((struct sockaddr_un *)&own)->sun_path, "/run/signer.sock")) return SIGNER_PEER;
        return OTHER;
    }
    uint64_t ledger = __atomic_load_n(&page->ledger_port, __ATOMIC_RELAXED);
    uint64_t caller = __atomic_load_n(&page->caller_port, __ATOMIC_RELAXED);
    if (role == GATEWAY && ledger && port_of(&peer) == ledger) return LEDGER_LINK;
    if (role == GATEWAY && caller && port_of(&own) == caller) return CALLER;
    if (role == LEDGER && ledger && port_of(&own) == ledger) return LEDGER_PEER;
    return OTHER;
}

static enum kind kind_of(int fd) {
    struct stat status;
    if (!page || !role || fstat(fd, &status)) return OTHER;
    if (S_ISSOCK(status.st_mode)) return kind_of_socket(fd);
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return OTHER;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return OTHER;
    path[length] = 0;
    return kind_of_path(path);
}

/* === passing a point === */

static int is_meant(const struct point *point, const struct iovec *parts, int count) {
    size_t total = 0;
    int marked = point->mark_bytes == 0;
    for (int at = 0; at < count; at++) {
        total += parts[at].iov_len;
        if (!marked) marked = memmem(parts[at].iov_base, parts[at].iov_len, point->mark, point->mark_bytes) != NULL;
    }
    return marked && total >= point->bytes_min;
}

static void die(int number, uint64_t passage) {
    char line[128];
    int bytes = snprintf(line, sizeof line, "killed at %s, passage %llu\n", NAMES[number], (unsigned long long)passage);
    if (REAL(write)(2, line, (size_t)bytes) < 0) { /* There is nobody to tell. */ }
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* 0: go on. Otherwise the error with which the call is to fail. */
static int pass(int number, const struct iovec *parts, int count) {
    if (number == NO_POINT) return 0;
    struct point *point = &page->points[number - 1];
    if (parts && !is_meant(point, parts, count)) return 0;
    uint64_t passage = __atomic_add_fetch(&point->passages, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&page->armed, __ATOMIC_SEQ_CST) != (uint64_t)number) return 0;
    if (__atomic_fetch_sub(&page->remaining, 1, __ATOMIC_SEQ_CST) != 1) return 0;
    __atomic_store_n(&page->armed, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&page->acted, passage, __ATOMIC_SEQ_CST);
    switch (page->action) {
    case ACT_KILL: die(number, passage); break;
    case ACT_EIO: return EIO;
    case ACT_ENOSPC: return ENOSPC;
    }
    return 0;
}

static int before_write(enum kind kind) {
    switch (kind) {
    case STORE_LOG: return GATEWAY_STORE_BEFORE_WRITE;
    case JOURNAL: return SIGNER_JOURNAL_BEFORE_WRITE;
    case HEAD: return SIGNER_HEAD_BEFORE_WRITE;
    case LEDGER_STATE: return LEDGER_STATE_BEFORE_WRITE;
    case SIGNER_LINK: return GATEWAY_SIGNER_BEFORE_SEND;
    case SIGNER_PEER: return SIGNER_ANSWER_BEFORE_SEND;
    case LEDGER_LINK: return GATEWAY_LEDGER_BEFORE_SEND;
    case LEDGER_PEER: return LEDGER_ANSWER_BEFORE_SEND;
    case CALLER: return GATEWAY_ANSWER_BEFORE_SEND;
    default: return NO_POINT;
    }
}

/* Every point after a write follows the one before it. */
static int after_write(enum kind kind) {
    int before = before_write(kind);
    return before ? before + 1 : NO_POINT;
}

static int after_read(enum kind kind) {
    switch (kind) {
    case SIGNER_LINK: return GATEWAY_SIGNER_AFTER_RECEIVE;
    case SIGNER_PEER: return SIGNER_REQUEST_AFTER_RECEIVE;
    case LEDGER_LINK: return GATEWAY_LEDGER_AFTER_RECEIVE;
    case LEDGER_PEER: return LEDGER_REQUEST_AFTER_RECEIVE;
    default: return NO_POINT;
    }
}

static int before_sync(enum kind kind) {
    switch (kind) {
    case STORE_LOG: return GATEWAY_STORE_BEFORE_SYNC;
    case JOURNAL: return SIGNER_JOURNAL_BEFORE_SYNC;
    case HEAD: return SIGNER_HEAD_BEFORE_SYNC;
    case LEDGER_STATE: return LEDGER_STATE_BEFORE_SYNC;
    default: return NO_POINT;
    }
}

/* === the calls === */

#define AROUND_WRITE(fd, parts, count, call) \
    enum kind kind = kind_of(fd); \
    int failure = pass(before_write(kind), parts, count); \
    if (failure) { errno = failure; return -1; } \
    ssize_t done = call; \
    int error = errno; \
    if (done > 0) pass(after_write(kind), parts, count); \
    errno = error; \
    return done

ssize_t write(int fd, const void *bytes, size_t length) {
    struct iovec part = {(void *)bytes, length};
    AROUND_WRITE(fd, &part, 1, REAL(write)(fd, bytes, length));
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    AROUND_WRITE(fd, parts, count, REAL(writev)(fd, parts, count));
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    struct iovec part = {(void *)bytes, length};
    AROUND_WRITE(fd, &part, 1, REAL(pwrite)(fd, bytes, length, at));
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    struct iovec part = {(void *)bytes, length};
    AROUND_WRITE(fd, &part, 1, REAL(pwrite64)(fd, bytes, length, at));
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    struct iovec part = {(void *)bytes, length};
    AROUND_WRITE(fd, &part, 1, REAL(send)(fd, bytes, length, flags));
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t to_bytes) {
    struct iovec part = {(void *)bytes, length};
    AROUND_WRITE(fd, &part, 1, REAL(sendto)(fd, bytes, length, flags, to, to_bytes));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    AROUND_WRITE(fd, message->msg_iov, (int)message->msg_iovlen, REAL(sendmsg)(fd, message, flags));
}

static ssize_t received(int fd, struct iovec part, ssize_t done) {
    int error = errno;
    if (done > 0) {
        part.iov_len = (size_t)done;
        pass(after_read(kind_of(fd)), &part, 1);
    }
    errno = error;
    return done;
}

ssize_t read(int fd, void *bytes, size_t length) {
    return received(fd, (struct iovec){bytes, length}, REAL(read)(fd, bytes, length));
}

ssize_t recv(int fd, void *bytes, size_t length, int flags) {
    return received(fd, (struct iovec){bytes, length}, REAL(recv)(fd, bytes, length, flags));
}

ssize_t recvfrom(int fd, void *bytes, size_t length, int flags, struct sockaddr *from, socklen_t *from_bytes) {
    return received(fd, (struct iovec){bytes, length}, REAL(recvfrom)(fd, bytes, length, flags, from, from_bytes));
}

/* Of several buffers only the first is looked at: what reads here reads into one. */
static ssize_t received_first(int fd, const struct iovec *parts, size_t count, ssize_t done) {
    if (count == 0 || done <= 0) return done;
    size_t first = (size_t)done < parts->iov_len ? (size_t)done : parts->iov_len;
    int error = errno;
    struct iovec part = {parts->iov_base, first};
    pass(after_read(kind_of(fd)), &part, 1);
    errno = error;
    return done;
}

ssize_t readv(int fd, const struct iovec *parts, int count) {
    return received_first(fd, parts, (size_t)count, REAL(readv)(fd, parts, count));
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    ssize_t done = REAL(recvmsg)(fd, message, flags);
    return received_first(fd, message->msg_iov, message->msg_iovlen, done);
}

#define AROUND_SYNC(fd, call) \
    int point = before_sync(kind_of(fd)); \
    int failure = pass(point, NULL, 0); \
    if (failure) { errno = failure; return -1; } \
    int done = call; \
    int error = errno; \
    if (point && !done) pass(point + 1, NULL, 0); \
    errno = error; \
    return done

int fsync(int fd) { AROUND_SYNC(fd, REAL(fsync)(fd)); }

int fdatasync(int fd) { AROUND_SYNC(fd, REAL(fdatasync)(fd)); }
