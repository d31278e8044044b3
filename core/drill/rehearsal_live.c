/* rehearsal_live.c: a rehearsal with real people: time is a clock's.
 *
 *   nothing to do now? the virtual clock goes to the earliest timer, but not past the clock (times its speed); until then the real loop
 *   runs, where people come in. So what they do happens at the virtual time that their clock shows.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "drill/rehearsal_parts.h"
#include <stdio.h>
#include <string.h>

#define TICK_MS      20      /* of the clock: how far the virtual one may be behind when somebody comes in */
#define TAKE_BACK_MS 45000   /* what was in force at real instances has so long to be taken back */
#define BY_DRILL     "drill" /* who began it ordered that too: it passes no gate */
#define CALM_MS      3000    /* of virtual time, after the last thing that happened */

struct pace {
    struct stanch_rehearsal *r;
    int64_t began_mono_ms; /* of the clock */
    int64_t sim_began_ms;  /* of the virtual one */
    struct stanch_timer *tick;
};

static void on_tick(void *ctx)
{
    ((struct pace *)ctx)->tick = NULL;
}

/* How far the virtual clock may go now. */
static int64_t allowed_ms(const struct pace *pace)
{
    struct stanch_rehearsal *r = pace->r;
    int64_t passed = (stanch_loop_mono_ms(r->stage->loop) - pace->began_mono_ms) * r->spec->live->speed;
    int64_t left = passed - (stanch_loop_mono_ms(r->loop) - pace->sim_began_ms);
    return left > 0 ? left : 0;
}

/* Let the real loop run: until somebody comes in, but not past what is due next. */
static void wait_for_clock(struct pace *pace, int64_t next_ms)
{
    struct stanch_rehearsal *r = pace->r;
    int64_t real_ms = next_ms < 0 ? TICK_MS : next_ms / r->spec->live->speed + 1;
    pace->tick = stanch_timer_start(r->stage->loop, real_ms < TICK_MS ? real_ms : TICK_MS, on_tick, pace);
    stanch_loop_run_next(r->stage->loop);
    stanch_timer_stop(r->stage->loop, &pace->tick);
}

static void step(struct pace *pace)
{
    struct stanch_rehearsal *r = pace->r;
    if (stanch_rehearsal__goes_on_now(r))
        return;
    int64_t next_ms = stanch_loop_sim_next_ms(r->loop), may_ms = allowed_ms(pace);
    if (next_ms >= 0 && next_ms <= may_ms) {
        (void)stanch_loop_sim_step(r->loop);
    } else {
        stanch_loop_sim_advance(r->loop, may_ms);
        wait_for_clock(pace, next_ms - may_ms);
    }
}

/* Why it is over before its time. */
static bool is_cut_short(struct stanch_rehearsal *r)
{
    const struct stanch_rehearsal_live *live = r->spec->live;
    const char *why = live->over(live->ctx);
    if (why)
        (void)snprintf(r->ended, sizeof r->ended, "%s", why);
    else if (stanch_rehearsal__elapsed_ms(r) >= stanch_json_int(r->spec->scenario, "within_ms", 0))
        (void)snprintf(r->ended, sizeof r->ended, "its time was up");
    return r->ended[0] || r->broken[0];
}

static struct pace pace_of(struct stanch_rehearsal *r)
{
    return (struct pace){
        .r = r, .began_mono_ms = stanch_loop_mono_ms(r->stage->loop), .sim_began_ms = stanch_loop_mono_ms(r->loop)};
}

void stanch_rehearsal__play_live(struct stanch_rehearsal *r)
{
    struct pace pace = pace_of(r);
    int64_t settled_since_ms = -1;
    while (!is_cut_short(r)) {
        step(&pace);
        int64_t now_ms = stanch_rehearsal__elapsed_ms(r);
        bool settled = !stanch_rehearsal__computes(r) && stanch_seen_is_settled(r);
        settled_since_ms = settled ? (settled_since_ms < 0 ? now_ms : settled_since_ms) : -1;
        if (settled && now_ms - settled_since_ms >= CALM_MS)
            break;
    }
}

/* ---- afterwards ---- */

static void on_done(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    (void)rc; /* what did not work is still in force, and is told so */
    (void)err;
    (void)result;
    ((struct stanch_rehearsal *)ctx)->orders_out--;
}

struct taking_back {
    struct stanch_rehearsal *r;
    const char *command, *member;
    struct stanch_buf left;
};

static bool is_of_real(const struct stanch_rehearsal *r, const json_t *doc)
{
    return stanch_plugins_describe(r->real, stanch_json_str(doc, "instance", "")) != NULL;
}

static int order(void *ctx, const json_t *doc, struct stanch_err *err)
{
    struct taking_back *taking = ctx;
    STANCH_AUTO_JSON json_t *input =
        json_pack("{s:s, s:s}", taking->member, stanch_json_str(doc, "id", ""), "reason", "the drill is over");
    if (strcmp(taking->member, "mitigation") == 0 && !is_of_real(taking->r, doc))
        return 0;
    taking->r->orders_out++;
    if (stanch_flow_do(taking->r->flow, BY_DRILL, taking->command, input, on_done, taking->r, err) == 0)
        return 0;
    taking->r->orders_out--;
    stanch_log(STANCH_LOG_WARN, "drill", "%s %s: %s", taking->command, stanch_json_str(doc, "id", ""), err->text);
    return 0;
}

static void order_all(struct stanch_rehearsal *r, const char *noun, const char *command)
{
    const struct stanch_noun_query open = {.noun = noun, .open = 1, .limit = 1};
    struct taking_back taking = {.r = r, .command = command, .member = noun};
    struct stanch_err err;
    if (stanch_journal_each(r->journal, &open, order, &taking, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "drill", "%s", err.text);
}

/* Steps that outlive their runs: calls whose outcome is still to come, or of which only a person could tell. */
struct outliving {
    struct stanch_rehearsal *r;
    int to_come;
    struct stanch_buf *names; /* where those of real instances are named; NULL: that is not wanted */
};

static int look_at_step(void *ctx, const json_t *orphan, struct stanch_err *err)
{
    struct outliving *outliving = ctx;
    STANCH_AUTO_JSON json_t *step =
        stanch_journal_get(outliving->r->journal, STANCH_VIEW_APPENDED, "step", stanch_json_str(orphan, "id", ""));
    (void)err;
    outliving->to_come += strcmp(stanch_json_str(step, "state", ""), "unknown") != 0;
    if (outliving->names && is_of_real(outliving->r, step))
        stanch_buf_printf(outliving->names, "%s%s (%s.%s), if it happened, which is not known",
                          outliving->names->len ? ", " : "", stanch_json_str(step, "id", ""),
                          stanch_json_str(step, "instance", ""), stanch_json_str(step, "action", ""));
    return 0;
}

/* returns whether an outcome is still to come. names: NULL, or where what has none is named */
static bool is_outcome_to_come(struct stanch_rehearsal *r, struct stanch_buf *names)
{
    const struct stanch_noun_query open = {.noun = "orphan", .open = 1, .limit = 1};
    struct outliving outliving = {.r = r, .names = names};
    struct stanch_err err;
    if (stanch_journal_each(r->journal, &open, look_at_step, &outliving, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "drill", "%s", err.text);
    return outliving.to_come > 0;
}

static int name_left(void *ctx, const json_t *doc, struct stanch_err *err)
{
    struct taking_back *taking = ctx;
    (void)err;
    if (is_of_real(taking->r, doc))
        stanch_buf_printf(&taking->left, "%s%s (%s.%s)", taking->left.len ? ", " : "", stanch_json_str(doc, "id", ""),
                          stanch_json_str(doc, "instance", ""), stanch_json_str(doc, "action", ""));
    return 0;
}

/* What is in force at real instances. */
static void note_left(struct stanch_rehearsal *r)
{
    const struct stanch_noun_query open = {.noun = "mitigation", .open = 1, .limit = 1};
    struct taking_back taking = {.r = r};
    struct stanch_err err;
    int rc = stanch_journal_each(r->journal, &open, name_left, &taking, &err);
    (void)is_outcome_to_come(r, &taking.left);
    (void)snprintf(r->left, sizeof r->left, "%s", rc < 0 ? err.text : stanch_buf_str(&taking.left));
    stanch_buf_done(&taking.left);
}

static void wait_for_orders(struct stanch_rehearsal *r, int64_t until_ms)
{
    struct pace pace = pace_of(r);
    while ((r->orders_out > 0 || r->out > 0 || is_outcome_to_come(r, NULL)) &&
           stanch_loop_mono_ms(r->stage->loop) < until_ms)
        step(&pace);
}

void stanch_rehearsal__cancel_runs(struct stanch_rehearsal *r)
{
    order_all(r, "run", "run.cancel");
}

/* Runs first, so that they do nothing more; a call that is out comes back before its undo is ordered. */
void stanch_rehearsal__take_back(struct stanch_rehearsal *r)
{
    int64_t until_ms = stanch_loop_mono_ms(r->stage->loop) + TAKE_BACK_MS;
    stanch_rehearsal__cancel_runs(r);
    wait_for_orders(r, until_ms);
    order_all(r, "mitigation", "mitigation.undo");
    wait_for_orders(r, until_ms);
    note_left(r);
}

void stanch_rehearsal__wait_told(struct stanch_rehearsal *r, int64_t within_ms)
{
    const struct stanch_rehearsal_live *live = r->spec->live;
    int64_t until_ms = stanch_loop_mono_ms(r->stage->loop) + within_ms;
    struct pace pace = pace_of(r);
    bool is_told = !live->is_told || live->is_told(live->ctx);
    while (!is_told && stanch_loop_mono_ms(r->stage->loop) < until_ms) {
        step(&pace);
        is_told = live->is_told(live->ctx);
    }
    if (!is_told)
        stanch_log(STANCH_LOG_WARN, "drill", "people could not be told that it is over: what paged them may still do");
}
