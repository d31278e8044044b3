/* effects.c: a plugin for tests: every effect is a line in a file, so that a test can count what really
 * happened, whatever died meanwhile.
 *
 * Settings   log: the effect log, one line an effect, appended:  OP ACTION TARGET VALUE KEY EPOCH
 *                 OP is apply or undo; `noop` stands before a repeat that changed nothing (convergent: the
 * value was there; idempotent: the key was known), `stale` before a call that was refused; notify lines are: notify TEXT KEY EPOCH state: the remote,
 * lines of `TARGET VALUE [OP ACTION KEY]`, the last one counts; a target that is not there is 0
 *            behaviour: misbehaviour, read at each call, one a line: [ACTION.]OP:WHAT [NUMBER] [once]
 *            token: secret, the bearer token of the webhook
 * Actions    {"target":text,"value":integer}: set_convergent (low), set_idempotent (low), set_reconcilable
 * (medium), set_unprotected (high), each with plan, apply, verify, undo (and reconcile, but for unprotected
 * and convergent); get {"target"} -> {"value"}; page {"text"}: notify Source     webhook: {"alerts":[events
 * of sdk/README.md]} WHAT       crash-before  SIGKILL to itself before the effect       crash-after  ...
 * after it hang-after    the host's thread blocks after the effect      silent no
 * answer, the host lives; segv, exit, stop, close, drip MS, hang, fork, threads, outlive, outlive-child: before the
 * effect, effects_break.h                 slow MS      answers (and acts) later fail          failed "remote"
 * stale  failed "stale"  retry MS     failed "unavailable", retry unknown       effect, answer unknown
 * unknown-before  no effect, unknown garbage       effect, garbage on the channel            huge effect, a
 * length of 2 GiB twice         answers twice false         VERIFY: does not hold      cannot-tell, done,
 * not-done   RECONCILE: says so
 */
#include "effects_break.h"
#include "effects_remote.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stanch/sdk.h>
#include <unistd.h>

#define SET(name, class, risk, ops, more)                                                                              \
    "\"" name "\": {\"summary\": \"Set a target's value\", \"effect\": \"mitigate\", \"class\": \"" class              \
        "\", \"risk\": \"" risk "\", \"ops\": [" ops "]" more ", \"params\": {"                                        \
        "  \"target\": {\"type\": \"string\", \"pattern\": \"^[^ ]+$\", \"maxLength\": 200},"                          \
        "  \"value\": {\"type\": \"integer\", \"minimum\": -1000000, \"maximum\": 1000000}},"                          \
        " \"required\": [\"target\", \"value\"], \"deadline_ms\": 3000}"
#define FOUR "\"plan\", \"apply\", \"verify\", \"undo\""
#define FIVE FOUR ", \"reconcile\""

static const char DECLARATION[] =
    "{\"name\": \"effects\", \"version\": \"1\", \"summary\": \"Effects that tests can count\","
    " \"settings\": {"
    "  \"log\": {\"type\": \"string\", \"format\": \"path\", \"required\": true, \"summary\": \"the effect "
    "log\"},"
    "  \"state\": {\"type\": \"string\", \"format\": \"path\", \"required\": true, \"summary\": \"the "
    "remote\"},"
    "  \"behaviour\": {\"type\": \"string\", \"format\": \"path\"},"
    "  \"token\": {\"type\": \"string\", \"secret\": true, \"summary\": \"bearer token of the webhook\"}},"
    " \"actions\": {" SET("set_convergent", "convergent", "low", FOUR, "") "," SET(
        "set_idempotent", "idempotent", "low", FIVE,
        "") "," SET("set_reconcilable", "reconcilable", "medium", FIVE,
                    ", \"settle_ms\": 50") "," SET("set_unprotected", "unprotected", "high", FOUR,
                                                   "") ","
                                                       " \"get\": {\"summary\": \"Read a target's value\", "
                                                       "\"effect\": \"read\", \"class\": \"read-only\","
                                                       "  \"params\": {\"target\": {\"type\": \"string\"}}, "
                                                       "\"required\": [\"target\"], \"deadline_ms\": 3000},"
                                                       " \"page\": {\"summary\": \"Tell somebody\", "
                                                       "\"effect\": \"notify\", \"class\": \"idempotent\","
                                                       "  \"params\": {\"text\": {\"type\": \"string\"}}, "
                                                       "\"required\": [\"text\"], \"deadline_ms\": 3000}},"
                                                       " \"sources\": {\"webhook\": {\"summary\": \"Events "
                                                       "as they are\"}}}";

static const char *setting(struct sdk_call *call, const char *name)
{
    return sdk_setting(sdk_instance(call), name, NULL);
}

static const char *op_word(const struct sdk_call *call)
{
    static const char *const words[] = {"", "plan", "apply", "verify", "undo", "reconcile", "read", "receive"};
    return words[sdk_op(call)];
}

static const char *target_of(const struct sdk_call *call)
{
    return sdk_arg_str(call, "target", "");
}

/* ---- misbehaviour ---- */

struct wish { /* kept with the call */
    char what[64];
    int64_t number;
};

static bool wants(struct sdk_call *call, const char *what)
{
    const struct wish *wish = sdk_kept(call);
    return strcmp(wish->what, what) == 0;
}

static void hang(void)
{
    for (;;)
        (void)pause();
}

/* Core is gone: no answer, only the effect, whatever is there by now. */
static void act_late(struct sdk_call *call)
{
    remote_change(setting(call, "state"), target_of(call), sdk_arg_int(call, "value", 0), op_word(call),
                  sdk_action(call), sdk_key(call));
    _exit(0);
}

/* Everything that happens instead of an effect. True: the call has been dealt with. */
static bool misbehave_before(struct sdk_call *call)
{
    const struct wish *wish = sdk_kept(call);
    if (wants(call, "crash-before"))
        (void)kill(getpid(), SIGKILL);
    effects_break(wish->what, wish->number, setting(call, "behaviour"));
    if (wants(call, "outlive") || wants(call, "outlive-child"))
        act_late(call);
    if (wants(call, "fail"))
        sdk_fail(call, "remote", "the effects plugin was told to fail");
    else if (wants(call, "stale"))
        sdk_fail(call, "stale", "the effects plugin was told to be stale");
    else if (wants(call, "retry"))
        sdk_fail_retry(call, (uint32_t)wish->number, "unavailable", "the effects plugin was told to be unavailable");
    else if (wants(call, "unknown-before"))
        sdk_unknown(call, "unreachable", "the effects plugin was told not to know");
    else
        return wants(call, "silent");
    return true;
}

static void misbehave_after(struct sdk_call *call)
{
    static const unsigned char huge[8] = {0, 0, 0, 0x80, 0, 0, 0, 0};
    if (wants(call, "crash-after"))
        (void)kill(getpid(), SIGKILL);
    if (wants(call, "hang-after"))
        hang();
    if (wants(call, "garbage") && write(3, "\x10\0\0\0\0\0\0\0this is no JSON!", 24) < 0)
        perror("garbage");
    if (wants(call, "huge") && write(3, huge, sizeof huge) < 0)
        perror("huge");
    if (wants(call, "half")) { /* it dies in the middle of a frame */
        if (write(3, "\x10\0\0\0\0\0\0\0{\"t\":", 13) < 0)
            perror("half");
        (void)kill(getpid(), SIGKILL);
    }
    if (wants(call, "chatter"))
        for (int i = 0; i < 5000; i++)
            sdk_log(sdk_instance(call), 2, "chatter %d", i);
    if (wants(call, "twice"))
        sdk_done(call, json_pack("{s:b}", "first_of_two", 1));
    if (wants(call, "unknown"))
        sdk_unknown(call, "unreachable", "the effects plugin was told not to know");
}

static void start(struct sdk_call *call, sdk_fn go_on)
{
    struct wish *wish = sdk_memory(call, sizeof *wish);
    behaviour_read(setting(call, "behaviour"), sdk_action(call), op_word(call), wish->what, &wish->number);
    sdk_keep(call, wish);
    if (wants(call, "slow"))
        sdk_later(call, (uint32_t)wish->number, go_on);
    else if (!misbehave_before(call))
        go_on(call);
}

/* ---- the actions ---- */

static int64_t planned(const struct sdk_call *call, const char *member)
{
    return json_integer_value(json_object_get(sdk_plan_member(call, member), "value"));
}

static void plan_now(struct sdk_call *call)
{
    const char *target = target_of(call);
    int64_t from = remote_get(setting(call, "state"), target), to = sdk_arg_int(call, "value", 0);
    sdk_plan(
        call,
        &(struct sdk_plan){
            .targets = json_pack("[s]", sdk_text(call, "effects:%s/%s", sdk_instance_name(sdk_instance(call)), target)),
            .from = json_pack("{s:I}", "value", (json_int_t)from),
            .to = json_pack("{s:I}", "value", (json_int_t)to),
            .undo = json_pack("{s:I}", "value", (json_int_t)from),
            .by_hand = sdk_text(call, "echo '%s %lld' >> %s", target, (long long)to, setting(call, "state")),
            .undo_by_hand = sdk_text(call, "echo '%s %lld' >> %s", target, (long long)from, setting(call, "state")),
            .impact = sdk_text(call, "%s: %lld -> %lld", target, (long long)from, (long long)to),
            .reach = -1,
            .observed = json_pack("{s:I}", "seen_value", (json_int_t)from),
            .no_change = from == to,
        });
    misbehave_after(call);
}

static void log_effect(struct sdk_call *call, const char *prefix, int64_t value)
{
    remote_log(setting(call, "log"),
               sdk_text(call, "%s%s %s %s %lld %s %lld\n", prefix, op_word(call), sdk_action(call), target_of(call),
                        (long long)value, sdk_key(call), (long long)sdk_epoch(call)));
}

/* Write `value`, provided that `expected` is there. What a class promises is kept here, as a remote would. */
static void change(struct sdk_call *call, int64_t expected, int64_t value)
{
    const char *state = setting(call, "state"), *key = sdk_key(call);
    int64_t now = remote_get(state, target_of(call));
    if (strcmp(sdk_action(call), "set_idempotent") == 0 && remote_has_key(state, key)) {
        log_effect(call, "noop ", value);
    } else if (strcmp(sdk_action(call), "set_convergent") == 0 && now == value) {
        log_effect(call, "noop ", value);
    } else if (now != expected && strcmp(sdk_action(call), "set_unprotected") != 0) {
        log_effect(call, "stale ", value);
        sdk_fail(call, "stale", "%s is %lld, not %lld any more", target_of(call), (long long)now, (long long)expected);
        return;
    } else {
        remote_change(state, target_of(call), value, op_word(call), sdk_action(call), key);
        log_effect(call, "", value);
    }
    misbehave_after(call);
    if (!wants(call, "unknown"))
        sdk_done(call, json_pack("{s:I}", "applied", (json_int_t)value));
}

static void apply_now(struct sdk_call *call)
{
    change(call, planned(call, "from"), planned(call, "to"));
}

static void undo_now(struct sdk_call *call)
{
    change(call, planned(call, "to"), planned(call, "undo"));
}

static void verify_now(struct sdk_call *call)
{
    int64_t now = remote_get(setting(call, "state"), target_of(call));
    sdk_holds(call, now == planned(call, "to") && !wants(call, "false"), json_pack("{s:I}", "value", (json_int_t)now));
    misbehave_after(call);
}

static void reconcile_now(struct sdk_call *call)
{
    const struct wish *wish = sdk_kept(call);
    bool is_told = wants(call, "cannot-tell") || wants(call, "done") || wants(call, "not-done");
    const char *found = remote_has_key(setting(call, "state"), sdk_key(call)) ? "done" : "not-done";
    sdk_reconciled(call, is_told ? wish->what : found);
    misbehave_after(call);
}

static void get_now(struct sdk_call *call)
{
    misbehave_after(call);
    sdk_done(call, json_pack("{s:I}", "value", (json_int_t)remote_get(setting(call, "state"), target_of(call))));
}

static void page_now(struct sdk_call *call)
{
    remote_log(setting(call, "log"), sdk_text(call, "notify %s %s %lld\n", sdk_arg_str(call, "text", ""), sdk_key(call),
                                              (long long)sdk_epoch(call)));
    sdk_done(call, json_pack("{s:b}", "sent", 1));
    misbehave_after(call);
}

static void receive_now(struct sdk_call *call)
{
    const json_t *body;
    if (!sdk_bearer_ok(call, "token")) {
        sdk_fail(call, "unauthorized", "the bearer token is missing or wrong");
        return;
    }
    if (!(body = sdk_body_json(call)))
        return;
    const json_t *alerts = json_object_get(body, "alerts");
    if (!json_is_array(alerts))
        sdk_fail(call, "invalid", "alerts: an array was expected");
    else
        sdk_received(call, json_deep_copy(alerts), 0);
    misbehave_after(call);
}

/* ---- one starter an operation ---- */

static void plan(struct sdk_call *call)
{
    start(call, plan_now);
}
static void apply(struct sdk_call *call)
{
    start(call, apply_now);
}
static void verify(struct sdk_call *call)
{
    start(call, verify_now);
}
static void undo(struct sdk_call *call)
{
    start(call, undo_now);
}
static void reconcile(struct sdk_call *call)
{
    start(call, reconcile_now);
}
static void get(struct sdk_call *call)
{
    start(call, get_now);
}
static void page(struct sdk_call *call)
{
    start(call, page_now);
}
static void receive(struct sdk_call *call)
{
    start(call, receive_now);
}

/* Asked to give up: a call that waits has done nothing yet. */
static void cancel(struct sdk_call *call)
{
    sdk_fail(call, "cancelled", "cancelled before anything happened");
}

#define HANDLERS(name)                                                                                                 \
    {name, STANCH_OP_PLAN, plan}, {name, STANCH_OP_APPLY, apply}, {name, STANCH_OP_VERIFY, verify},                    \
        {name, STANCH_OP_UNDO, undo},                                                                                  \
    {                                                                                                                  \
        name, STANCH_OP_RECONCILE, reconcile                                                                           \
    }

static const struct sdk_handler handlers[] = {
    HANDLERS("set_convergent"),
    HANDLERS("set_idempotent"),
    HANDLERS("set_reconcilable"),
    HANDLERS("set_unprotected"),
    {"get", STANCH_OP_READ, get},
    {"page", STANCH_OP_READ, page},
    {"webhook", STANCH_OP_RECEIVE, receive},
    {0},
};

static const struct sdk_plugin plugin = {.declaration = DECLARATION, .handlers = handlers, .cancel = cancel};
STANCH_PLUGIN(plugin)
