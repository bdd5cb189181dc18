/* The floor: the round trip two C processes reach on this machine, with the copies an honest bridge makes.
 *
 *     floor futex|eventfd|unix|tcp ASK_BYTES ANSWER_BYTES [ASK_CPU ANSWER_CPU]
 *
 * Two processes: the parent asks, the forked child answers. Per round trip the writer fills the slot (or the socket)
 * from its own memory and the reader copies out into its own, in both directions: four copies, no more, no fewer.
 * It prints "ready". Each line "SECONDS HZ" on standard input is one burst (HZ 0 = back to back), and gives one line of
 * JSON: n, p50, p90, p99 in microseconds, and the raw samples in nanoseconds in the order they were taken.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SAMPLES = 400000, ASK = 0, ANSWER = 1, CACHE_LINE = 64 };

/* One direction: a slot, the number of the frame in it, and the two ways to ring. */
struct lane {
    _Alignas(CACHE_LINE) _Atomic uint32_t seq;
    int bell;
    size_t size;
    char *slot;
};

static struct lane *lanes; /* shared by both processes */
static int sock;           /* each process has its own end */
static uint32_t turn;      /* frames sent or taken in the current direction, by this process */

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void *shared(size_t size) {
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at == MAP_FAILED) die("mmap");
    return at;
}

/* ---- the four ways a frame travels ------------------------------------------------------------------------------ */

static void futex_send(int way, const char *from) {
    struct lane *lane = &lanes[way];
    memcpy(lane->slot, from, lane->size);
    atomic_store(&lane->seq, turn);
    if (syscall(SYS_futex, &lane->seq, FUTEX_WAKE, 1, NULL, NULL, 0) < 0) die("futex wake");
}

static void futex_take(int way, char *into) {
    struct lane *lane = &lanes[way];
    uint32_t seen;
    while ((seen = atomic_load(&lane->seq)) != turn)
        if (syscall(SYS_futex, &lane->seq, FUTEX_WAIT, seen, NULL, NULL, 0) < 0 && errno != EAGAIN && errno != EINTR)
            die("futex wait");
    memcpy(into, lane->slot, lane->size);
}

static void eventfd_send(int way, const char *from) {
    memcpy(lanes[way].slot, from, lanes[way].size);
    if (eventfd_write(lanes[way].bell, 1)) die("eventfd write");
}

static void eventfd_take(int way, char *into) {
    eventfd_t count;
    if (eventfd_read(lanes[way].bell, &count)) die("eventfd read");
    memcpy(into, lanes[way].slot, lanes[way].size);
}

static void socket_send(int way, const char *from) {
    for (size_t left = lanes[way].size; left > 0;) {
        ssize_t n = send(sock, from, left, MSG_NOSIGNAL);
        if (n < 0) die("send");
        from += n, left -= (size_t)n;
    }
}

static void socket_take(int way, char *into) {
    for (size_t left = lanes[way].size; left > 0;) {
        ssize_t n = recv(sock, into, left, 0);
        if (n == 0) exit(0);
        if (n < 0) die("recv");
        into += n, left -= (size_t)n;
    }
}

static void nothing_to_pair(int ends[2]) { ends[0] = ends[1] = -1; }

static void unix_pair(int ends[2]) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) die("socketpair");
}

static void tcp_pair(int ends[2]) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, size) || listen(listener, 1)) die("listen");
    if (getsockname(listener, (struct sockaddr *)&at, &size)) die("getsockname");
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(ends[0], (struct sockaddr *)&at, size)) die("connect");
    ends[1] = accept(listener, NULL, NULL);
    for (int i = 0; i < 2; i++)
        if (setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one)) die("TCP_NODELAY");
    close(listener);
}

static const struct way {
    const char *name;
    void (*pair)(int ends[2]);
    void (*send)(int way, const char *from);
    void (*take)(int way, char *into);
} ways[] = {
    {"futex", nothing_to_pair, futex_send, futex_take},
    {"eventfd", nothing_to_pair, eventfd_send, eventfd_take},
    {"unix", unix_pair, socket_send, socket_take},
    {"tcp", tcp_pair, socket_send, socket_take},
};

/* ---- measuring -------------------------------------------------------------------------------------------------- */

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void sleep_until(int64_t at_ns) {
    struct timespec t = {at_ns / 1000000000LL, at_ns % 1000000000LL};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int burst(const struct way *way, double seconds, double hz, char *ask, char *answer, int64_t *samples) {
    int64_t period = hz > 0 ? (int64_t)(1e9 / hz) : 0, start = now_ns(), end = start + (int64_t)(seconds * 1e9);
    int n = 0;
    for (int64_t began = start; n < MAX_SAMPLES && began < end; n++) {
        if (period) sleep_until(start + n * period);
        began = now_ns();
        turn++;
        way->send(ASK, ask);
        way->take(ANSWER, answer);
        samples[n] = now_ns() - began;
    }
    return n;
}

static void report(int n, const int64_t *samples) {
    int64_t *sorted = malloc(sizeof *sorted * (size_t)n);
    memcpy(sorted, samples, sizeof *sorted * (size_t)n);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    printf("{\"n\":%d,\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"samples\":[", n, sorted[n / 2] / 1e3,
           sorted[(int64_t)n * 90 / 100] / 1e3, sorted[(int64_t)n * 99 / 100] / 1e3);
    for (int i = 0; i < n; i++) printf(i ? ",%lld" : "%lld", (long long)samples[i]);
    puts("]}");
    fflush(stdout);
    free(sorted);
}

static void answer_for_ever(const struct way *way, char *ask, char *answer) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL)) die("prctl");
    for (;;) {
        turn++;
        way->take(ASK, ask);
        way->send(ANSWER, answer);
    }
}

/* CPU below 0: wherever the scheduler likes. */
static void pin(const char *cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (atoi(cpu) < 0) return;
    CPU_SET((size_t)atoi(cpu), &set);
    if (sched_setaffinity(0, sizeof set, &set)) die("sched_setaffinity");
}

int main(int argc, char **argv) {
    const struct way *way = NULL;
    for (size_t i = 0; (argc == 4 || argc == 6) && i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(argv[1], ways[i].name)) way = &ways[i];
    if (!way) {
        fprintf(stderr, "usage: %s futex|eventfd|unix|tcp ASK_BYTES ANSWER_BYTES [ASK_CPU ANSWER_CPU]\n", argv[0]);
        return 2;
    }
    size_t ask_bytes = strtoul(argv[2], NULL, 10), answer_bytes = strtoul(argv[3], NULL, 10);
    lanes = shared(2 * sizeof *lanes);
    lanes[ASK] = (struct lane){.bell = eventfd(0, 0), .size = ask_bytes, .slot = shared(ask_bytes)};
    lanes[ANSWER] = (struct lane){.bell = eventfd(0, 0), .size = answer_bytes, .slot = shared(answer_bytes)};
    char *ask = malloc(ask_bytes), *answer = malloc(answer_bytes);
    memset(ask, 1, ask_bytes), memset(answer, 2, answer_bytes);

    int ends[2];
    way->pair(ends);
    pid_t child = fork();
    if (child < 0) die("fork");
    sock = ends[child == 0];
    if (argc == 6) pin(argv[child == 0 ? 5 : 4]);
    if (child == 0) answer_for_ever(way, ask, answer);

    int64_t *samples = malloc(sizeof *samples * MAX_SAMPLES);
    double seconds, hz;
    puts("ready");
    fflush(stdout);
    while (scanf("%lf %lf", &seconds, &hz) == 2) report(burst(way, seconds, hz, ask, answer, samples), samples);
    return 0;
}
