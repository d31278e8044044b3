/* rehearsal.c: the life of the simulated process, its time, and its death.
 *
 *   start: journal on the disk -> policy -> engine -> flow -> [runbooks judged] -> the cast comes on
 *   then:  something is deferred or due now? do it.   a worker computes? wait for it.   else: the clock goes to the next timer
 *   dies:  what is not committed is gone, calls that are out come back to nobody; then it starts again on the same disk
 */
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include "drill/rehearsal_parts.h"
#include "rule/policy.h"
#include "run/stop.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BEGINS_MS     1767258000000 /* 2026-01-01 09:00 UTC, when a scenario does not say when it plays */
#define LOCK_MS       60000         /* so long a store is waited for that a process has that ends */
#define LOCK_PAUSE_MS 200
#define TELL_MS       10000 /* what people were told of has so long to be taken from them */
#define TELL_AFTER_MS 60000 /* nobody waits for it then, and the daemon's plugins may only be starting */
#define LOOK_PAGE     500
#define CALM_MS       3000 /* after the last thing that happened: what is quiet now stays so */

const char *stanch_upset_word(enum stanch_upset upset)
{
    static const char *const words[] = {"none", "failing", "silent", "lost", "no host", "twice"};
    return words[upset];
}

void stanch_rehearsal__break(struct stanch_rehearsal *r, const char *fmt, ...)
{
    va_list ap;
    if (r->broken[0])
        return;
    va_start(ap, fmt);
    (void)vsnprintf(r->broken, sizeof r->broken, fmt, ap);
    va_end(ap);
}

int64_t stanch_rehearsal__elapsed_ms(const struct stanch_rehearsal *r)
{
    return stanch_loop_wall_ms(r->loop) - r->began_ms;
}

/* ---- the disk ---- */

static struct stanch_rehearsal *of_disk(struct stanch_store *disk)
{
    return container_of((struct stanch_store_ops *)(uintptr_t)disk->ops, struct stanch_rehearsal, disk_ops);
}

static int commit(struct stanch_store *disk, const struct stanch_write *write, struct stanch_err *err)
{
    struct stanch_rehearsal *r = of_disk(disk);
    if (r->dead)
        return 0; /* what a dead process writes does not arrive */
    int rc = r->memory_ops->commit(disk, write, err);
    if (r->counts && ++r->commits == r->spec->crash_at)
        r->dead = true;
    return rc;
}

static void close_nothing(struct stanch_store *disk)
{
    (void)disk;
}

static int open_disk(struct stanch_rehearsal *r, struct stanch_err *err)
{
    int rc = r->spec->live ? stanch_store_sqlite_open(r->spec->live->dir, 1, 0, &r->disk, err) : 0;
    if (rc < 0)
        return rc;
    if (!r->spec->live)
        r->disk = stanch_store_memory_new();
    r->memory_ops = r->disk->ops;
    r->disk_ops = *r->disk->ops;
    r->disk_ops.commit = commit;
    r->disk_ops.close = close_nothing;
    r->disk_ops.commits_inline = true; /* the virtual loop takes no posts of a thread */
    r->disk->ops = &r->disk_ops;
    return 0;
}

/* ---- life ---- */

static int start_engine(struct stanch_rehearsal *r, struct stanch_err *err)
{
    const json_t *config = r->stage->config, *limits = json_object_get(config, "limits");
    const struct stanch_rehearsal_live *live = r->spec->live;
    const struct stanch_people *people = live ? live->people : NULL;
    STANCH_AUTO_FREE char *dir = stanch_strdup(live ? live->dir : STANCH_STOP_NOWHERE);
    struct stanch_engine_config engine = {
        .state_dir = dir,
        .fresh_for_ms = stanch_json_int(config, "fresh_for_ms", 300000),
        .approval_expires_ms = stanch_json_int(json_object_get(config, "approvals"), "expires_ms", 900000),
        .max_steps = stanch_json_int(limits, "max_steps", 1000),
        .worker_idle_ms = 2000,
        .epoch = stanch_store_epoch(r->disk),
        .people = people,
        .pages = true,
    };
    struct stanch_flow_config flow = {
        .config = config, .exe = "", .state_dir = dir, .policy = r->policy, .people = people};
    r->engine = stanch_engine_new(r->journal, &r->world, r->policy, &engine);
    int rc = stanch_flow_new(r->loop, r->journal, NULL, &r->world, r->engine, &flow, &r->flow, err);
    rc = rc ? rc : stanch_engine_recover(r->engine, err);
    return rc ? rc : stanch_flow_start(r->flow, err);
}

static int start(struct stanch_rehearsal *r, struct stanch_err *err)
{
    r->life++;
    r->dead = false;
    if (!r->spec->live)
        r->disk->epoch = r->life;
    int rc = stanch_journal_open(r->loop, r->disk, &r->journal, err);
    rc = rc ? rc : stanch_policy_new(r->stage->policy, &r->policy, err);
    if (rc < 0)
        return rc;
    r->follower = stanch_journal_follow(r->journal, stanch_cast__on_entry, r);
    return start_engine(r, err);
}

static void stop(struct stanch_rehearsal *r)
{
    r->dead = true;
    if (r->engine)
        stanch_engine_halt(r->engine);
    if (r->flow)
        stanch_flow_halt(r->flow);
    stanch_actor__kill_all(r);
    stanch_loop_sim_settle(r->loop);
    if (r->is_up)
        r->spec->live->on_down(r->spec->live->ctx);
    r->is_up = false;
    if (r->journal && r->follower)
        stanch_journal_unfollow(r->journal, r->follower);
    stanch_journal_close(r->journal); /* barriers come back to nobody */
    stanch_loop_sim_settle(r->loop);
    stanch_flow_free(r->flow);
    stanch_engine_free(r->engine);
    stanch_loop_sim_settle(r->loop);
    stanch_policy_free(r->policy);
    r->follower = NULL;
    r->journal = NULL;
    r->flow = NULL;
    r->engine = NULL;
    r->policy = NULL;
}

/* ---- time ---- */

bool stanch_rehearsal__goes_on_now(struct stanch_rehearsal *r)
{
    stanch_loop_sim_settle(r->loop);
    if (r->dead)
        return true;
    if (stanch_rehearsal__computes(r)) {
        stanch_loop_run_next(r->stage->loop);
        return true;
    }
    return stanch_actor__hand_over(r);
}

/* One thing happens. returns false when nothing ever will again. */
static bool step(struct stanch_rehearsal *r)
{
    return stanch_rehearsal__goes_on_now(r) || stanch_loop_sim_step(r->loop);
}

static int restart(struct stanch_rehearsal *r, struct stanch_err *err)
{
    stop(r);
    int rc = start(r, err);
    if (rc == 0)
        stanch_cast__again(r);
    return rc;
}

/* The folder, as the repository would have offered it. returns 0 | STANCH_E_INVALID it is refused */
static int offer(struct stanch_rehearsal *r, struct stanch_err *err)
{
    int count = r->stage->book_count;
    STANCH_AUTO_FREE struct stanch_book_file *files = stanch_alloc(((size_t)count + 1) * sizeof *files);
    for (int i = 0; i < count; i++) {
        files[i] = r->stage->files[i];
        if (r->spec->sources && r->spec->sources[i].text != files[i].bytes) {
            files[i].bytes = r->spec->sources[i].text;
            files[i].len = r->spec->sources[i].len;
            stanch_digest_hex(files[i].bytes, files[i].len, files[i].blob_hex);
        }
    }
    struct stanch_revision revision = {
        .commit = r->stage->commit, .summary = "the folder", .author = "", .files = files, .file_count = count};
    stanch_flow_offer(r->flow, &revision);
    while (!r->flow->catalogue && strcmp(r->flow->book_state, "refused") != 0 && step(r))
        ;
    stanch_loop_sim_settle(r->loop);
    return r->flow->catalogue
               ? 0
               : stanch_err_set(err, STANCH_E_INVALID, "the runbooks would be refused: %s", r->flow->book_why);
}

static int play(struct stanch_rehearsal *r, struct stanch_err *err)
{
    int64_t within_ms = stanch_json_int(r->spec->scenario, "within_ms", 0), quiet_since_ms = -1;
    while (stanch_rehearsal__elapsed_ms(r) < within_ms) {
        if (!step(r))
            break;
        int rc = r->dead ? restart(r, err) : 0;
        if (rc < 0)
            return rc;
        if (r->broken[0])
            break;
        bool quiet = !stanch_rehearsal__computes(r) && stanch_seen_is_quiet(r);
        int64_t now_ms = stanch_rehearsal__elapsed_ms(r);
        quiet_since_ms = quiet ? (quiet_since_ms < 0 ? now_ms : quiet_since_ms) : -1;
        if (quiet && now_ms - quiet_since_ms >= CALM_MS)
            break;
    }
    return 0;
}

static void judge(struct stanch_rehearsal *r, json_t *seen)
{
    stanch_scene__judge(r, seen);
    while (!r->verdict && !r->broken[0])
        stanch_loop_run_next(r->stage->loop);
}

/* Whoever lets people in does so last: until then there is nothing to see. */
static int let_people_in(struct stanch_rehearsal *r, struct stanch_err *err)
{
    const struct stanch_rehearsal_live *live = r->spec->live;
    int rc = live ? live->on_up(live->ctx, r->loop, r->flow, r->journal, err) : 0;
    r->is_up = live && rc == 0;
    return rc;
}

static int begin(struct stanch_rehearsal *r, struct stanch_err *err)
{
    int64_t wall_ms = r->spec->live ? stanch_wall_now_ms() : BEGINS_MS;
    const char *begins = stanch_json_str(r->spec->scenario, "begins", NULL);
    if (begins && !r->spec->live && stanch_time_parse(begins, &wall_ms, err) < 0)
        return stanch_err_wrap(err, "begins");
    r->loop = stanch_loop_sim_new(wall_ms, 1000000);
    r->began_ms = wall_ms;
    const struct stanch_rehearsal_live *live = r->spec->live;
    int rc = live && live->open_real ? live->open_real(live->ctx, r->spec->scenario, &r->real, err) : 0;
    rc = rc ? rc : open_disk(r, err);
    if (rc < 0)
        return rc;
    stanch_scene__fill_world(r);
    rc = start(r, err);
    rc = rc ? rc : offer(r, err);
    rc = rc ? rc : stanch_scene__start(r, err);
    rc = rc ? rc : let_people_in(r, err);
    r->began_ms = stanch_loop_wall_ms(r->loop);
    r->counts = true;
    return rc;
}

static void init(struct stanch_rehearsal *r, struct stanch_stage *stage, const struct stanch_rehearsal_spec *spec)
{
    *r = (struct stanch_rehearsal){.stage = stage, .spec = spec, .looked_at = -1};
    r->covered = json_object();
    r->calls = json_array();
    r->effects = json_array();
    r->keys = json_object();
}

/* When what is told of was played: of a clock's time in `live`. */
struct span {
    int64_t began_ms, took_ms;
};

static json_t *result_of(struct stanch_rehearsal *r, json_t *seen, struct span span)
{
    json_t *failures = json_object_get(r->verdict, "failures");
    json_t *result =
        json_pack("{s:o, s:s, s:o, s:i, s:O, s:O, s:I}", "failures", failures ? json_incref(failures) : json_array(),
                  "outcome", stanch_json_str(seen, "outcome", "none"), "seen", seen, "commits", r->commits, "calls",
                  r->calls, "effects", r->effects, "took_ms", (json_int_t)span.took_ms);
    json_object_set(result, "covered", r->covered);
    stanch_json_set_str(result, "broken", r->broken[0] ? r->broken : NULL);
    stanch_json_set_str(result, "ended", r->ended[0] ? r->ended : NULL);
    if (r->spec->live) {
        char begins[32];
        stanch_time_text(span.began_ms, begins);
        stanch_json_set_str(result, "begins", begins);
    }
    stanch_json_set_str(result, "left", r->left[0] ? r->left : NULL);
    json_object_set(result, "told", r->told);
    return result;
}

static void finish(struct stanch_rehearsal *r)
{
    if (r->disk)
        stop(r);
    if (r->spec->live && r->spec->live->close_real)
        r->spec->live->close_real(r->spec->live->ctx);
    stanch_scene__free(r);
    stanch_cast__free(r);
    if (r->disk) {
        r->disk->ops = r->memory_ops;
        stanch_store_close(r->disk);
    }
    stanch_loop_sim_free(r->loop);
    json_decref(r->covered);
    json_decref(r->calls);
    json_decref(r->effects);
    json_decref(r->keys);
    json_decref(r->away);
    json_decref(r->verdict);
    json_decref(r->told);
}

/* ---- what was left ---- */

static void on_lock_pause(void *ctx)
{
    *(bool *)ctx = true;
}

static int open_left(struct stanch_rehearsal *r, struct stanch_err *err)
{
    struct stanch_loop *loop = r->stage->loop;
    int64_t until_ms = stanch_loop_mono_ms(loop) + LOCK_MS;
    int rc = open_disk(r, err);
    while (rc == STANCH_E_CONFLICT && stanch_loop_mono_ms(loop) < until_ms) {
        bool is_over = false;
        stanch_timer_start(loop, LOCK_PAUSE_MS, on_lock_pause, &is_over);
        while (!is_over)
            stanch_loop_run_next(loop);
        rc = open_disk(r, err);
    }
    return rc;
}

struct look {
    struct span span; /* began_ms 0: it never came so far */
    int64_t last_seq;
    int count; /* of this page */
};

/* It began with the runbooks, and what happened last is where it broke off. */
static int look_at(void *ctx, const struct stanch_entry *entry)
{
    struct look *look = ctx;
    if (look->span.began_ms == 0 && strcmp(entry->kind, "book.accepted") == 0)
        look->span.began_ms = entry->at_ms;
    if (look->span.began_ms && entry->at_ms - look->span.began_ms > look->span.took_ms)
        look->span.took_ms = entry->at_ms - look->span.began_ms;
    look->last_seq = entry->seq;
    look->count++;
    return 0;
}

/* What came of it until it died, before anything else happens. ret_seen: new */
static int look_back(struct stanch_rehearsal *r, struct span *ret_span, json_t **ret_seen, struct stanch_err *err)
{
    struct look look = {.count = LOOK_PAGE};
    int rc = 0;
    while (rc == 0 && look.count == LOOK_PAGE) {
        const struct stanch_entry_query query = {.after_seq = look.last_seq, .limit = LOOK_PAGE};
        look.count = 0;
        rc = stanch_journal_entries(r->journal, &query, look_at, &look, err);
    }
    if (rc < 0)
        return rc;
    if (r->spec->tell && look.span.began_ms)
        r->told =
            r->spec->tell(r->spec->scenario, r->journal, look.span.began_ms, look.span.began_ms + look.span.took_ms);
    *ret_span = look.span;
    *ret_seen = stanch_seen(r);
    return 0;
}

static int begin_after(struct stanch_rehearsal *r, struct span *ret_span, json_t **ret_seen, struct stanch_err *err)
{
    const struct stanch_rehearsal_live *live = r->spec->live;
    r->began_ms = stanch_wall_now_ms();
    r->loop = stanch_loop_sim_new(r->began_ms, 1000000);
    int rc = open_left(r, err);
    if (rc == 0 && live->open_real)
        rc = live->open_real(live->ctx, r->spec->scenario, &r->real, err);
    if (rc < 0)
        return rc;
    stanch_scene__fill_world(r);
    rc = start(r, err);
    rc = rc ? rc : look_back(r, ret_span, ret_seen, err);
    rc = rc ? rc : live->on_up(live->ctx, r->loop, NULL, r->journal, err);
    r->is_up = rc == 0;
    if (rc == 0)
        stanch_rehearsal__cancel_runs(r); /* before anything goes on by itself */
    rc = rc ? rc : offer(r, err);
    return rc ? rc : stanch_scene__start(r, err);
}

int stanch_rehearse_after(struct stanch_stage *stage, const struct stanch_rehearsal_spec *spec, json_t **ret,
                          struct stanch_err *err)
{
    struct stanch_rehearsal r;
    struct span span = {0};
    json_t *seen = NULL;
    init(&r, stage, spec);
    int rc = begin_after(&r, &span, &seen, err);
    if (rc == 0) {
        /* first, as after any: what is ordered below is nothing for their telephones */
        stanch_rehearsal__wait_told(&r, TELL_MS);
        if (r.real)
            stanch_rehearsal__take_back(&r);
        stanch_rehearsal__wait_told(&r, TELL_AFTER_MS);
        *ret = result_of(&r, STANCH_TAKE(seen), span);
    }
    json_decref(seen);
    finish(&r);
    return rc;
}

/* ---- all ---- */

int stanch_rehearse(struct stanch_stage *stage, const struct stanch_rehearsal_spec *spec, json_t **ret,
                    struct stanch_err *err)
{
    struct stanch_rehearsal r;
    init(&r, stage, spec);
    int rc = begin(&r, err);
    if (rc == 0) {
        stanch_cast__begin(&r);
        if (spec->live)
            stanch_rehearsal__play_live(&r);
        else
            rc = play(&r, err);
    }
    if (rc == 0) {
        stanch_loop_sim_settle(r.loop);
        json_t *seen = stanch_seen(&r);
        if (spec->tell && r.journal)
            r.told = spec->tell(spec->scenario, r.journal, r.began_ms, stanch_loop_wall_ms(r.loop));
        if (spec->live) /* first: time goes on meanwhile, and what happens in it is taken back too */
            stanch_rehearsal__wait_told(&r, TELL_MS);
        if (r.real)
            stanch_rehearsal__take_back(&r);
        judge(&r, seen);
        *ret = result_of(&r, seen, (struct span){r.began_ms, stanch_rehearsal__elapsed_ms(&r)});
    }
    finish(&r);
    return rc;
}
