/* probe.c: a plugin for tests that lets them use each service of the host, and try what a host must not be
 * able to do. All actions are reads, except for `write`, whose apply asks by HTTP. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stanch/sdk.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char DECLARATION[] =
    "{\"name\": \"probe\", \"version\": \"1\","
    " \"settings\": {"
    "  \"url\": {\"type\": \"string\", \"format\": \"url\"},"
    "  \"others\": {\"type\": \"array\", \"items\": {\"type\": \"string\", \"format\": \"url\"}},"
    "  \"address\": {\"type\": \"string\", \"format\": \"address\"},"
    "  \"ca\": {\"type\": \"string\", \"format\": \"ca-file\"},"
    "  \"folder\": {\"type\": \"string\", \"format\": \"path\"},"
    "  \"user\": {\"type\": \"string\"},"
    "  \"level\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 5},"
    "  \"mode\": {\"type\": \"string\", \"enum\": [\"plain\", \"fancy\", \"refuse\"]},"
    "  \"token\": {\"type\": \"string\", \"secret\": true}},"
    " \"actions\": {"
    "  \"fetch\": {\"summary\": \"HTTP\", \"effect\": \"read\", \"class\": \"read-only\", \"params\": {"
    "    \"method\": {\"type\": \"string\"}, \"path\": {\"type\": \"string\"}, \"base\": {\"type\": "
    "\"string\"},"
    "    \"headers\": {\"type\": \"object\", \"additionalProperties\": true}, \"body\": {\"type\": "
    "\"string\"},"
    "    \"bearer\": {\"type\": \"string\"}, \"basic\": {\"type\": \"boolean\"}, \"max\": {\"type\": "
    "\"integer\"},"
    "    \"deadline\": {\"type\": \"integer\"}}},"
    "  \"say\": {\"summary\": \"exchange\", \"effect\": \"read\", \"class\": \"read-only\", \"params\": {"
    "    \"text\": {\"type\": \"string\"}, \"address\": {\"type\": \"string\"}, \"max\": {\"type\": "
    "\"integer\"}}},"
    "  \"wait\": {\"summary\": \"timer\", \"effect\": \"read\", \"class\": \"read-only\", \"params\": {"
    "    \"ms\": {\"type\": \"integer\"}}},"
    "  \"echo\": {\"summary\": \"echo\", \"effect\": \"read\", \"class\": \"read-only\", \"params\": {"
    "    \"value\": {\"type\": \"object\", \"additionalProperties\": true}}},"
    "  \"leak\": {\"summary\": \"its secret, in every way\", \"effect\": \"read\", \"class\": \"read-only\"},"
    "  \"big\": {\"summary\": \"an answer over the frame's limit\", \"effect\": \"read\", \"class\": "
    "\"read-only\"},"
    "  \"forbidden\": {\"summary\": \"what a host must not do\", \"effect\": \"read\", \"class\": "
    "\"read-only\","
    "    \"params\": {\"file\": {\"type\": \"string\"}, \"pid\": {\"type\": \"integer\"}}},"
    "  \"write\": {\"summary\": \"HTTP as a change\", \"effect\": \"mitigate\", \"class\": \"unprotected\","
    "    \"risk\": \"high\", \"ops\": [\"plan\", \"apply\"], \"no_undo_because\": \"it is a test\","
    "    \"params\": {\"path\": {\"type\": \"string\"}, \"method\": {\"type\": \"string\"}}}},"
    " \"sources\": {\"signed\": {\"summary\": \"HMAC\"}, \"basic\": {\"summary\": \"basic\"}}}";

/* ---- HTTP and streams ---- */

static void on_fetched(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    static const char *const ends[] = {"answered", "not-sent", "lost"};
    json_t *body = answer->body_len < 4096 ? json_stringn(answer->body, answer->body_len) : NULL;
    sdk_done(call,
             json_pack("{s:s, s:i, s:i, s:O, s:o, s:I, s:s}", "ended", ends[answer->ended], "status",
                       (int)answer->status, "retry_after_ms", (int)answer->retry_after_ms, "headers", answer->headers,
                       "body", body ? body : json_null(), "len", (json_int_t)answer->body_len, "why", answer->why));
}

static void fetch(struct sdk_call *call)
{
    const json_t *headers = json_object_get(sdk_args(call), "headers");
    const char *base = sdk_arg_str(call, "base", NULL);
    sdk_http(
        call,
        &(struct sdk_http_order){
            .method = sdk_arg_str(call, "method", NULL),
            .setting = base ? "none" : "url",
            .path = base ? sdk_text(call, "%s%s", base, sdk_arg_str(call, "path", "")) : sdk_arg_str(call, "path", ""),
            .headers = headers ? json_deep_copy(headers) : NULL,
            .bearer = sdk_arg_str(call, "bearer", NULL),
            .basic_user = sdk_arg_bool(call, "basic", false) ? "user" : NULL,
            .basic_password = "token",
            .body = sdk_arg_str(call, "body", NULL),
            .deadline_ms = (uint32_t)sdk_arg_int(call, "deadline", 0),
            .max_body = (uint64_t)sdk_arg_int(call, "max", 0),
        },
        on_fetched);
}

static void on_said(struct sdk_call *call, uint32_t ended, const char *answer, size_t len, const char *why)
{
    static const char *const ends[] = {"answered", "not-sent", "lost"};
    json_t *text = json_stringn(answer, len);
    sdk_done(call, json_pack("{s:s, s:o, s:I, s:s}", "ended", ends[ended], "answer", text ? text : json_null(), "len",
                             (json_int_t)len, "why", why));
}

static void say(struct sdk_call *call)
{
    const char *address = sdk_arg_str(call, "address", sdk_setting(sdk_instance(call), "address", ""));
    sdk_exchange(call, address, sdk_arg_str(call, "text", "hello\n"), (uint64_t)sdk_arg_int(call, "max", 0), on_said);
}

static void plan_write(struct sdk_call *call)
{
    sdk_plan(call, &(struct sdk_plan){.targets = json_pack("[s]", "probe:it")});
}

static void on_wrote(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (sdk_http_ok(call, answer))
        sdk_done(call, json_pack("{s:i}", "applied", (int)answer->status));
}

static void apply_write(struct sdk_call *call)
{
    sdk_http(call,
             &(struct sdk_http_order){.method = sdk_arg_str(call, "method", "POST"),
                                      .path = sdk_arg_str(call, "path", "/"),
                                      .json = json_pack("{s:s}", "key", sdk_key(call))},
             on_wrote);
}

/* ---- small ones ---- */

static void on_waited(struct sdk_call *call)
{
    sdk_done(call, json_pack("{s:I}", "left_ms", (json_int_t)sdk_left_ms(call)));
}

static void wait_ms(struct sdk_call *call)
{
    sdk_later(call, (uint32_t)sdk_arg_int(call, "ms", 0), on_waited);
}

static void echo(struct sdk_call *call)
{
    sdk_done(call, json_deep_copy(sdk_input(call)));
}

static void leak(struct sdk_call *call)
{
    /* The test's secret is known to it: the plugin says it as text that comes along in the call's input. */
    const char *secret = json_string_value(json_object_get(sdk_input(call), "secret"));
    const json_t *forms = json_object_get(sdk_input(call), "forms");
    sdk_log(sdk_instance(call), 2, "the secret is %s, I said %s", secret, secret);
    (void)fprintf(stderr, "on stderr: %s\n", secret);
    (void)printf("on stdout: %s\n", secret);
    (void)fflush(stdout);
    if (json_is_true(json_object_get(sdk_input(call), "fail")))
        sdk_fail(call, "remote", "it failed with %s", secret);
    else
        sdk_done(call, json_pack("{s:s, s:[s], s:O, s:{s:i}}", "value", secret, "list", secret, "forms", forms, "keys",
                                 secret, 1));
}

static void big(struct sdk_call *call)
{
    char *text = calloc(1, 6u << 20);
    if (text)
        memset(text, 'x', (6u << 20) - 1);
    sdk_done(call, json_pack("{s:s}", "text", text));
    free(text);
}

/* ---- what must not work ---- */

static void add_try(json_t *tries, const char *name, long rc)
{
    json_object_set_new(tries, name, json_string(rc < 0 ? strerrorname_np(errno) : "works"));
}

static void forbidden(struct sdk_call *call)
{
    json_t *tries = json_object();
    pid_t parent = getppid();
    struct rlimit core = {0};
    char bytes[16];
    long rc;
    add_try(tries, "ptrace", syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, parent, 0, 0));
    add_try(tries, "process_vm_writev", syscall(SYS_process_vm_writev, parent, NULL, 0, NULL, 0, 0));
    add_try(tries, "mount", syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL));
    add_try(tries, "bpf", syscall(SYS_bpf, 0, NULL, 0));
    add_try(tries, "keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    add_try(tries, "unshare", syscall(SYS_unshare, 0x10000000));
    add_try(tries, "io_uring", syscall(SYS_io_uring_setup, 1, NULL));
    add_try(tries, "execve", execl("/bin/true", "true", (char *)NULL));
    add_try(tries, "kill-core", kill(parent, 0));
    add_try(tries, "kill-all", kill(-1, 0));
    add_try(tries, "setsid", setsid());
    add_try(tries, "packet-socket", socket(17, SOCK_RAW, 0));
    add_try(tries, "listen", listen(socket(AF_INET, SOCK_STREAM, 0), 1));
    rc = fork();
    if (rc == 0)
        _exit(0);
    add_try(tries, "fork", rc);
    rc = open(sdk_arg_str(call, "file", "/nowhere"), O_RDONLY | O_CLOEXEC);
    add_try(tries, "read-file", rc);
    rc = open(sdk_text(call, "/proc/%d/environ", (int)parent), O_RDONLY | O_CLOEXEC);
    add_try(tries, "core-environ", rc < 0 ? rc : read((int)rc, bytes, sizeof bytes));
    add_try(tries, "write-file", open("/tmp/stanch-probe-must-not", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    (void)getrlimit(RLIMIT_CORE, &core);
    json_object_set_new(tries, "core-limit", json_integer((json_int_t)core.rlim_cur));
    json_object_set_new(tries, "dumpable", json_integer(prctl(PR_GET_DUMPABLE)));
    json_object_set_new(tries, "no-new-privs", json_integer(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
    json_object_set_new(tries, "environ", json_integer(environ && environ[0] ? 1 : 0));
    json_object_set_new(tries, "pgid-is-own", json_boolean(getpgrp() == getpid()));
    sdk_done(call, tries);
}

/* ---- webhooks ---- */

static void receive_signed(struct sdk_call *call)
{
    size_t len;
    char hex[65];
    const char *body = sdk_body(call, &len), *given = sdk_header(call, "x-signature");
    if (!given || !sdk_hmac_hex(call, "token", body, len, hex) || !sdk_equal(call, hex, given)) {
        sdk_fail(call, "unauthorized", "the signature is missing or wrong");
        return;
    }
    json_t *events = json_array();
    int64_t at = 0;
    (void)sdk_time_parse(sdk_header(call, "x-at"), &at);
    if (sdk_body_json(call)) {
        sdk_event(events, &(struct sdk_event){.fingerprint = "f", .name = "n", .starts_at_ms = at});
        sdk_received(call, events, 0);
    } else {
        json_decref(events);
    }
}

static void receive_basic(struct sdk_call *call)
{
    if (sdk_basic_ok(call, "user", "token"))
        sdk_received(call, json_array(), 3);
    else
        sdk_fail(call, "unauthorized", "wrong");
}

static const char *open_probe(struct sdk_instance *instance, void **ret_state)
{
    *ret_state = NULL;
    if (strcmp(sdk_setting(instance, "mode", "plain"), "refuse") == 0)
        return sdk_why(instance, "mode \"%s\" is not for %s", "refuse", sdk_instance_name(instance));
    return NULL;
}

static const struct sdk_handler handlers[] = {
    {"fetch", STANCH_OP_READ, fetch},
    {"say", STANCH_OP_READ, say},
    {"wait", STANCH_OP_READ, wait_ms},
    {"echo", STANCH_OP_READ, echo},
    {"leak", STANCH_OP_READ, leak},
    {"big", STANCH_OP_READ, big},
    {"forbidden", STANCH_OP_READ, forbidden},
    {"write", STANCH_OP_PLAN, plan_write},
    {"write", STANCH_OP_APPLY, apply_write},
    {"signed", STANCH_OP_RECEIVE, receive_signed},
    {"basic", STANCH_OP_RECEIVE, receive_basic},
    {0},
};

static const struct sdk_plugin plugin = {.declaration = DECLARATION, .handlers = handlers, .open = open_probe};
STANCH_PLUGIN(plugin)
