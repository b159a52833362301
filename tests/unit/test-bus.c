/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The private bus: the server runs on the test's loop, the clients are
 * processes of their own, because the real one may wait. The loop is turned
 * until a client has answered. That the daemon's side never waits for anybody
 * is seen from the turns going on, and from the end coming at once.
 */

#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>

#include "base/str.h"
#include "bus.h"
#include "paths.h"
#include "tmproot.h"

typedef struct Server {
        TmpRoot t;
        sd_event *event;
        Bus *bus;
        const char *text; /* what Describe answers; NULL: -EIO */
        unsigned n_described, n_exited;
        int status; /* of the last client that ended */
} Server;

static int describe(void *userdata, char **ret)
{
        Server *s = userdata;

        s->n_described++;
        if (!s->text)
                return -EIO;
        *ret = strdup(s->text);
        return 0;
}

static const char *state(void *userdata)
{
        return "ready";
}

static const BusHandler handler = { .describe = describe, .state = state };

static void server_init(Server *s)
{
        sigset_t child;

        (void)sigemptyset(&child);
        (void)sigaddset(&child, SIGCHLD);
        ck_assert_int_eq(sigprocmask(SIG_BLOCK, &child, NULL), 0);
        *s = (Server){ .t = tmproot_new(), .text = "{\"state\":\"ready\"}" };
        ck_assert_int_ge(sd_event_new(&s->event), 0);
        ck_assert_int_eq(bus_new(s->event, s->t.root, &handler, s, &s->bus), 0);
}

static void server_done(Server *s)
{
        s->bus = bus_free(s->bus);
        sd_event_unref(s->event);
        tmproot_done(&s->t);
}
#define _cleanup_server_ _cleanup_(server_done)

#define TURN_UNTIL(s, condition)                                                                            \
        while (!(condition))                                                                                \
        ck_assert_int_ge(sd_event_run((s)->event, UINT64_MAX), 0)

/* Turns until nothing is left to do at once. */
static void settle(Server *s)
{
        while (sd_event_run(s->event, 0) > 0)
                ;
}

static int on_client(sd_event_source *source, const siginfo_t *si, void *userdata)
{
        Server *s = userdata;

        s->n_exited++;
        s->status = si->si_code == CLD_EXITED ? si->si_status : -si->si_status;
        return 0;
}

/* A process that runs @body and ends with what that returns. */
static pid_t client(Server *s, int (*body)(Server *s))
{
        pid_t pid = fork();

        ck_assert_int_ge(pid, 0);
        if (pid == 0)
                _exit(body(s));
        ck_assert_int_ge(sd_event_add_child(s->event, NULL, pid, WEXITED, on_client, s), 0);
        return pid;
}

static int ask(Server *s)
{
        _cleanup_free_ char *text = NULL;
        int r = bus_ask_describe(s->t.root, &text);

        if (r)
                return r == BUS_E_NOT_RUNNING ? 2 : 3;
        return streq(text, s->text) ? 0 : 1;
}

static int connect_raw(Server *s)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/" RUNTIME_SOCKET, s->t.path);
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        return fd;
}

static unsigned count_fds(void)
{
        DIR *d = opendir("/proc/self/fd");
        unsigned n = 0;

        while (readdir(d))
                n++;
        (void)closedir(d);
        return n;
}

static void check_serves(Server *s)
{
        unsigned before = s->n_exited;

        (void)client(s, ask);
        TURN_UNTIL(s, s->n_exited > before);
        ck_assert_int_eq(s->status, 0);
}

START_TEST(test_describe)
{
        _cleanup_server_ Server s;

        server_init(&s);
        check_serves(&s);
        ck_assert_uint_eq(s.n_described, 1);
        s.text = "";
        check_serves(&s);
}
END_TEST

/* More than one buffer of the socket. */
START_TEST(test_describe_large)
{
        _cleanup_free_ char *big = malloc(4 << 20);
        _cleanup_server_ Server s;

        server_init(&s);
        memset(big, 'x', (4 << 20) - 1);
        big[(4 << 20) - 1] = '\0';
        s.text = big;
        check_serves(&s);
}
END_TEST

START_TEST(test_describe_fails)
{
        _cleanup_server_ Server s;

        server_init(&s);
        s.text = NULL;
        (void)client(&s, ask);
        TURN_UNTIL(&s, s.n_exited);
        ck_assert_int_eq(s.status, 3);
        s.text = "again";
        check_serves(&s);
}
END_TEST

static sd_bus *open_bus(Server *s)
{
        sd_bus *bus = NULL;
        int fd = connect_raw(s);

        if (sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 || sd_bus_start(bus) < 0)
                _exit(90);
        return bus;
}

static int read_property(Server *s)
{
        sd_bus *bus = open_bus(s);
        char *text = NULL;
        int r;

        r = sd_bus_get_property_string(bus, NULL, BUS_PATH, BUS_INTERFACE, "State", NULL, &text);
        if (r < 0 || !streq(text, "ready"))
                return 1;
        free(text);
        /* What is not there is an answer, too, and nothing can be set or stopped from here. */
        r = sd_bus_call_method(bus, NULL, BUS_PATH, BUS_INTERFACE, "NoSuchMethod", NULL, NULL, "");
        if (r >= 0)
                return 2;
        r = sd_bus_call_method(bus, NULL, "/other", BUS_INTERFACE, "Describe", NULL, NULL, "");
        if (r >= 0)
                return 3;
        r = sd_bus_call_method(bus, NULL, BUS_PATH, BUS_INTERFACE, "Describe", NULL, NULL, "s", "too much");
        if (r >= 0)
                return 4;
        r = sd_bus_set_property(bus, NULL, BUS_PATH, BUS_INTERFACE, "State", NULL, "s", "failed");
        if (r >= 0)
                return 5;
        sd_bus_close_unref(bus);
        return 0;
}

START_TEST(test_property)
{
        _cleanup_server_ Server s;

        server_init(&s);
        (void)client(&s, read_property);
        TURN_UNTIL(&s, s.n_exited);
        ck_assert_int_eq(s.status, 0);
}
END_TEST

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        *(bool *)userdata = true;
        return 0;
}

/* Asks once, so the server knows it is there, then waits to be told. */
static int listen_to_changes(Server *s)
{
        sd_bus *bus = open_bus(s);
        bool changed = false;
        int r;

        r = sd_bus_match_signal(bus, NULL, NULL, BUS_PATH, "org.freedesktop.DBus.Properties",
                        "PropertiesChanged", on_changed, &changed);
        if (r >= 0)
                r = sd_bus_call_method(bus, NULL, BUS_PATH, BUS_INTERFACE, "Describe", NULL, NULL, "");
        while (r >= 0 && !changed) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        sd_bus_close_unref(bus);
        return r < 0;
}

START_TEST(test_changes)
{
        _cleanup_server_ Server s;

        server_init(&s);
        bus_state_changed(s.bus); /* to nobody */
        bus_state_changed(NULL);
        (void)client(&s, listen_to_changes);
        (void)client(&s, listen_to_changes);
        TURN_UNTIL(&s, s.n_described == 2);
        bus_state_changed(s.bus);
        TURN_UNTIL(&s, s.n_exited == 2);
        ck_assert_int_eq(s.status, 0);
}
END_TEST

/* One after the other, more than there are places. */
START_TEST(test_hundred_clients)
{
        _cleanup_server_ Server s;

        server_init(&s);
        for (unsigned i = 0; i < 100; i++)
                check_serves(&s);
        ck_assert_uint_eq(s.n_described, 100);
}
END_TEST

/* At the same time, and all of them stay: those beyond the last place are turned away, nobody else is. */
START_TEST(test_hundred_at_once)
{
        _cleanup_server_ Server s;
        unsigned n_closed = 0;
        int fds[100];

        server_init(&s);
        for (unsigned i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = connect_raw(&s);
                settle(&s);
        }
        for (unsigned i = 0; i < ELEMENTSOF(fds); i++) {
                char c;

                if (recv(fds[i], &c, 1, MSG_DONTWAIT) == 0)
                        n_closed++;
        }
        ck_assert_uint_eq(n_closed, 100 - 64);

        /* A place that is given up is taken by the next one. */
        for (unsigned i = 0; i < ELEMENTSOF(fds); i++)
                closep(&fds[i]);
        settle(&s);
        check_serves(&s);
}
END_TEST

static const struct {
        const char *bytes;
        size_t size;
} garbage[] = {
        { "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 36 },
        { "\0AUTH EXTERNAL zz\r\n", 19 },
        { "\0AUTH EXTERNAL 30\r\nBEGIN\r\ngarbage that is no message at all, long enough", 72 },
        { "\0AUTH ANONYMOUS\r\nBEGIN\r\nl\1\0\1\377\377\377\177\1\0\0\0\377\377\377\177", 40 },
        { "\377\377\377\377\377\377\377\377", 8 },
        { "\0", 1 },
        { "\0\r\n\r\n\r\n", 7 },
};

static void close_and_settle(Server *s, int *fd)
{
        closep(fd);
        settle(s);
}

START_TEST(test_garbage)
{
        _cleanup_server_ Server s;
        int fd;

        server_init(&s);
        fd = connect_raw(&s);
        settle(&s);
        ck_assert_int_gt(send(fd, garbage[_i].bytes, garbage[_i].size, MSG_NOSIGNAL), 0);
        settle(&s);
        bus_state_changed(s.bus);
        check_serves(&s);
        close_and_settle(&s, &fd);
        check_serves(&s);
}
END_TEST

/* More and more of it: at some time the connection is ended, and it does not take the memory with it. */
START_TEST(test_flood)
{
        _cleanup_server_ Server s;
        char buffer[65536];
        ssize_t n = 0;
        int fd;

        memset(buffer, 'A', sizeof(buffer));
        server_init(&s);
        fd = connect_raw(&s);
        settle(&s);
        for (unsigned i = 0; n >= 0 && i < 4096; i++) {
                n = send(fd, buffer, sizeof(buffer), MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EAGAIN) {
                        n = 0;
                        settle(&s);
                }
        }
        ck_assert_int_lt(n, 0);
        check_serves(&s);
        closep(&fd);
}
END_TEST

/* Gone before it was served, in the middle, and with an answer on its way. */
static int ask_and_die(Server *s)
{
        sd_bus *bus = open_bus(s);
        sd_bus_slot *slot = NULL;

        if (sd_bus_call_method_async(bus, &slot, NULL, BUS_PATH, BUS_INTERFACE, "Describe", NULL, NULL, "") <
                                        0 ||
                        sd_bus_flush(bus) < 0)
                return 1;
        (void)kill(getpid(), SIGKILL);
        return 2;
}

START_TEST(test_vanishes)
{
        _cleanup_free_ char *big = malloc(4 << 20);
        _cleanup_server_ Server s;
        int fd;

        server_init(&s);
        memset(big, 'x', (4 << 20) - 1);
        big[(4 << 20) - 1] = '\0';
        s.text = big;

        fd = connect_raw(&s);
        closep(&fd); /* before it was accepted */
        settle(&s);
        fd = connect_raw(&s);
        settle(&s);
        close_and_settle(&s, &fd);
        for (unsigned i = 1; i <= 70; i++) {
                (void)client(&s, ask_and_die);
                TURN_UNTIL(&s, s.n_exited == i);
                ck_assert_int_eq(s.status, -SIGKILL);
        }
        settle(&s);
        s.text = "well";
        check_serves(&s);
}
END_TEST

/* A client that never says a word, one that stops in the middle, one that does not read: the end comes at
 * once. */
START_TEST(test_end_does_not_wait)
{
        _cleanup_server_ Server s;
        int silent, half, deaf;
        static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

        server_init(&s);
        silent = connect_raw(&s);
        half = connect_raw(&s);
        deaf = connect_raw(&s);
        settle(&s);
        ck_assert_int_eq(send(half, hello, 9, 0), 9);
        ck_assert_int_eq(send(deaf, hello, sizeof(hello) - 1, 0), sizeof(hello) - 1);
        settle(&s);
        for (unsigned i = 0; i < 5000; i++)
                bus_state_changed(s.bus);
        settle(&s);
        check_serves(&s);
        for (unsigned i = 0; i < 5000; i++)
                bus_state_changed(s.bus);

        s.bus = bus_free(s.bus);
        closep(&silent);
        closep(&half);
        closep(&deaf);
}
END_TEST

/* The same when the loop ends with clients that nobody has dropped: sd-bus would wait for each of them. */
START_TEST(test_exit_does_not_wait)
{
        static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
        _cleanup_server_ Server s;
        int silent, deaf;

        server_init(&s);
        silent = connect_raw(&s);
        deaf = connect_raw(&s);
        settle(&s);
        ck_assert_int_eq(send(deaf, hello, sizeof(hello) - 1, 0), sizeof(hello) - 1);
        settle(&s);
        for (unsigned i = 0; i < 8; i++)
                bus_state_changed(s.bus);
        ck_assert_int_ge(sd_event_exit(s.event, 0), 0);
        ck_assert_int_ge(sd_event_loop(s.event), 0);
        closep(&silent);
        closep(&deaf);
}
END_TEST

static bool is_hung_up(int fd)
{
        char buffer[4096];
        ssize_t n;

        do
                n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        while (n > 0);
        return n == 0 || errno == ECONNRESET;
}

/* What a client does not read is kept for it only up to a bound. */
START_TEST(test_deaf)
{
        static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
        _cleanup_server_ Server s;
        int deaf;

        server_init(&s);
        deaf = connect_raw(&s);
        settle(&s);
        ck_assert_int_eq(send(deaf, hello, sizeof(hello) - 1, 0), sizeof(hello) - 1);
        settle(&s);
        for (unsigned i = 0; i < 5000; i++)
                bus_state_changed(s.bus);
        settle(&s);
        ck_assert(is_hung_up(deaf));
        check_serves(&s);
        closep(&deaf);
}
END_TEST

static const char *const beginnings[] = { "", "\0AUTH", "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n",
        "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\nl\1\0\1\377\377\377\1\1\0\0\0" };
static const size_t beginning_sizes[] = { 0, 5, 30, 42 };

/* Who does not get to the end of a first message is hung up on; who did may be silent. */
START_TEST(test_never_a_message)
{
        BusHandler impatient = handler;
        _cleanup_server_ Server s;
        sd_bus *watching;
        int fd;

        server_init(&s);
        s.bus = bus_free(s.bus);
        impatient.patience = 100 * USEC_PER_MSEC;
        ck_assert_int_eq(bus_new(s.event, s.t.root, &impatient, &s, &s.bus), 0);
        watching = open_bus(&s);
        ck_assert_int_ge(sd_bus_call_method_async(watching, NULL, NULL, BUS_PATH, BUS_INTERFACE, "Describe",
                                         NULL, NULL, ""),
                        0);
        while (s.n_described == 0) {
                (void)sd_bus_process(watching, NULL);
                settle(&s);
        }
        fd = connect_raw(&s);
        settle(&s);
        if (beginning_sizes[_i] > 0)
                ck_assert_int_eq(send(fd, beginnings[_i], beginning_sizes[_i], 0), beginning_sizes[_i]);
        while (!is_hung_up(fd))
                ck_assert_int_ge(sd_event_run(s.event, UINT64_MAX), 0);
        ck_assert(!is_hung_up(sd_bus_get_fd(watching)));
        sd_bus_close_unref(watching);
        closep(&fd);
}
END_TEST

/* Descriptors are neither agreed upon nor kept. */
START_TEST(test_descriptors)
{
        static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n";
        char control[CMSG_SPACE(sizeof(int[10]))] = {}, answer[1024] = "";
        static char half[] = "l\1\0\1\377\377\0\0\1\0\0\0";
        struct iovec iov = { half, 12 };
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
        };
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        _cleanup_server_ Server s;
        unsigned before;
        int fd;

        server_init(&s);
        fd = connect_raw(&s);
        settle(&s);
        ck_assert_int_eq(send(fd, hello, sizeof(hello) - 1, 0), sizeof(hello) - 1);
        settle(&s);
        ck_assert_int_gt(recv(fd, answer, sizeof(answer) - 1, 0), 0);
        ck_assert_ptr_null(strstr(answer, "AGREE_UNIX_FD"));

        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int[10]));
        for (unsigned i = 0; i < 10; i++)
                memcpy(CMSG_DATA(head) + i * sizeof(int), &fd, sizeof(int));
        before = count_fds();
        ck_assert_int_eq(sendmsg(fd, &message, 0), 12);
        settle(&s);
        ck_assert_uint_le(count_fds(), before);
        closep(&fd);
        check_serves(&s);
}
END_TEST

/* Without descriptors the listener rests, the loop does not spin, and then everybody is served. */
START_TEST(test_no_descriptors)
{
        struct rlimit limit, none;
        _cleanup_server_ Server s;
        unsigned turns = 0;
        pid_t pid;

        server_init(&s);
        check_serves(&s);
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        pid = client(&s, ask);
        none = (struct rlimit){ 0, limit.rlim_max };
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
        /* The client comes, is not accepted, and nothing is left to do until the pause is over. */
        while (sd_event_run(s.event, 500 * USEC_PER_MSEC) > 0)
                ck_assert_uint_lt(turns++, 10);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        TURN_UNTIL(&s, s.n_exited == 2);
        ck_assert_int_eq(s.status, 0);
        ck_assert_int_gt(pid, 0);
}
END_TEST

/* Somebody else's connection is hung up on, whatever the mode of the socket. */
static int ask_as_nobody(Server *s)
{
        if (fchmodat(AT_FDCWD, s->t.path, 0755, 0) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
                return 90;
        return ask(s);
}

static int refused(Server *s)
{
        _cleanup_free_ char *text = NULL;

        if (fchmodat(AT_FDCWD, s->t.path, 0755, 0) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
                return 90;
        return bus_ask_describe(s->t.root, &text) == BUS_E_NOT_ALLOWED ? 0 : 1;
}

START_TEST(test_nobody)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_server_ Server s;

        if (geteuid() != 0)
                return;
        server_init(&s);
        (void)client(&s, refused);
        TURN_UNTIL(&s, s.n_exited == 1);
        ck_assert_int_eq(s.status, 0);

        path = root_path(s.t.root, RUNTIME_SOCKET);
        ck_assert_int_eq(chmod(path, 0666), 0);
        (void)client(&s, ask_as_nobody);
        TURN_UNTIL(&s, s.n_exited == 2);
        ck_assert_int_eq(s.status, 2);
        ck_assert_uint_eq(s.n_described, 0);
        check_serves(&s);
}
END_TEST

START_TEST(test_not_running)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        char *text = (char *)&t;

        ck_assert_int_eq(bus_ask_describe(t.root, &text), BUS_E_NOT_RUNNING);
        tmproot_mkdir(&t, RUNTIME_DIRECTORY);
        ck_assert_int_eq(bus_ask_describe(t.root, &text), BUS_E_NOT_RUNNING);
        tmproot_write(&t, RUNTIME_SOCKET, "no socket");
        ck_assert_int_eq(bus_ask_describe(t.root, &text), BUS_E_NOT_RUNNING);
        ck_assert_ptr_eq(text, (char *)&t);
}
END_TEST

/* The socket of a killed daemon is in the way of nobody; the own one goes with the server. */
START_TEST(test_socket)
{
        Server s;
        struct stat st;
        int stale;

        server_init(&s);
        ck_assert_int_eq(root_stat(s.t.root, RUNTIME_SOCKET, &st), 0);
        ck_assert(S_ISSOCK(st.st_mode));
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
        s.bus = bus_free(s.bus);
        ck_assert(!root_exists(s.t.root, RUNTIME_SOCKET));
        ck_assert_ptr_null(bus_free(NULL));

        /* bound, and nobody listens */
        {
                struct sockaddr_un a = { .sun_family = AF_UNIX };

                (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/" RUNTIME_SOCKET, s.t.path);
                stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                ck_assert_int_eq(bind(stale, (struct sockaddr *)&a, sizeof(a)), 0);
        }
        ck_assert_int_eq(ask(&s), 2);
        ck_assert_int_eq(bus_new(s.event, s.t.root, &handler, &s, &s.bus), 0);
        check_serves(&s);
        closep(&stale);
        server_done(&s);
}
END_TEST

START_TEST(test_no_place)
{
        _cleanup_(tmproot_done) TmpRoot t = tmproot_new();
        sd_event *event = NULL;
        Bus *bus = (Bus *)&t;

        ck_assert_int_ge(sd_event_new(&event), 0);
        tmproot_write(&t, RUNTIME_DIRECTORY, "a file");
        ck_assert_int_lt(bus_new(event, t.root, &handler, NULL, &bus), 0);
        tmproot_rm(&t, RUNTIME_DIRECTORY);
        tmproot_mkdir(&t, RUNTIME_SOCKET);
        ck_assert_int_lt(bus_new(event, t.root, &handler, NULL, &bus), 0);
        ck_assert_ptr_eq(bus, (Bus *)&t);
        sd_event_unref(event);
}
END_TEST

UNIT_MAIN("bus", UNIT_TEST(test_describe), UNIT_TEST(test_describe_large), UNIT_TEST(test_describe_fails),
                UNIT_TEST(test_property), UNIT_TEST(test_changes), UNIT_TEST(test_hundred_clients),
                UNIT_TEST(test_hundred_at_once), UNIT_LOOP(test_garbage, ELEMENTSOF(garbage)),
                UNIT_TEST(test_flood), UNIT_TEST(test_vanishes), UNIT_TEST(test_end_does_not_wait),
                UNIT_TEST(test_exit_does_not_wait), UNIT_TEST(test_deaf),
                UNIT_LOOP(test_never_a_message, ELEMENTSOF(beginnings)), UNIT_TEST(test_descriptors),
                UNIT_TEST(test_no_descriptors), UNIT_TEST(test_nobody), UNIT_TEST(test_not_running),
                UNIT_TEST(test_socket), UNIT_TEST(test_no_place))
