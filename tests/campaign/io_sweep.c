/* io_sweep.c: the engine on the real store, and every call to the disk (campaign D3) or for memory (D13) fails in its turn.
 *   io_sweep CLASS COUNT FROM STEP      CLASS: a fault of the VFS (vfs_faulty.h), of the files beside the database, memory
 * The scenario: an incident, a run with a note, a mitigation, one that a person approves, and an undo by a person; the
 * stop switch set and released; checkpoints in between. For each point: one life in which the Nth call fails (COUNT of them
 * in a row), and one without faults that goes on from what is there; then what happened is held against what was promised.
 * Commits are made on the loop, so that the Nth call is the same call every time. The last line of the output is JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include "run/sim_world.h"
#include "base/digest.h"
#include "base/log.h"
#include "run/stop.h"
#include "timeline/journal_inside.h"
#include "timeline/store_sqlite.h"
#include "timeline/verify.h"
#include "timeline/vfs_faulty.h"
#include "libc_faulty.h"
#include "malloc_faulty.h"
#ifdef STANCH_ASAN
#include <sanitizer/lsan_interface.h>
#endif
#include <signal.h>
#include <sys/wait.h>

#define TOLD_MAX 400
#define TURNS    400
#define TURN_MS  250

enum life_end {
    LIFE_DONE = 0,
    LIFE_STORE = STANCH_EXIT_STORE,
    LIFE_NOMEM = STANCH_EXIT_NOMEM,
    LIFE_REFUSED = 97, /* said at the opening; nothing was promised */
    /* what must not be */
    LIFE_DAMAGED = 31, /* a fault of the disk was taken for damage, or has made some */
    LIFE_STUCK,
    LIFE_LOST,
    LIFE_WITHOUT_INTENT,
    LIFE_TWICE,
    LIFE_UNVERIFIED,
    LIFE_SWITCH,
    LIFE_LEAKS,
};

static const struct {
    const char *name;
    enum vfs_fault fault;
    int errnum; /* of the files beside the database; -1: a short write */
} classes[] = {
    {"write-full", VFS_WRITE_FULL, 0},   {"write-error", VFS_WRITE_ERROR, 0}, {"write-torn", VFS_WRITE_TORN, 0},
    {"sync-error", VFS_SYNC_ERROR, 0},   {"sync-kept", VFS_SYNC_KEPT, 0},     {"sync-torn", VFS_SYNC_TORN, 0},
    {"read-error", VFS_READ_ERROR, 0},   {"lock-busy", VFS_LOCK_BUSY, 0},     {"truncate-error", VFS_TRUNCATE_ERROR, 0},
    {"file-full", VFS_NO_FAULT, ENOSPC}, {"file-error", VFS_NO_FAULT, EIO},   {"file-short", VFS_NO_FAULT, -1},
    {"memory", VFS_NO_FAULT, 0},
};

/* What outlives a life: what was told, and the world outside. */
static struct shared {
    int64_t told_seq[TOLD_MAX];
    char told_hash[TOLD_MAX][65];
    int told;
    struct sim sims[2]; /* their effects; all else in them is the process's own */
    int calls;
    int faulted;
} * shared;

static struct sim *sim; /* of this life */
static void disarm(void);

static void note_fault(void)
{
    shared->faulted++;
}

static void on_told(void *ctx, const struct stanch_entry *entry)
{
    (void)ctx;
    if (shared->told == TOLD_MAX)
        _exit(LIFE_STUCK);
    shared->told_seq[shared->told] = entry->seq;
    memcpy(shared->told_hash[shared->told++], entry->hash, 65);
}

static void do_nothing(void *ctx)
{
    (void)ctx;
}

static struct stanch_store *open_inline(const char *dir)
{
    static struct stanch_store_ops ops;
    struct stanch_sqlite_options options = {.vfs = vfs.under ? "faulty" : NULL, .reserve_bytes = 65536, .busy_ms = 1};
    struct stanch_store *store;
    struct stanch_err err = {0};
    int rc = stanch_store_sqlite_open_with(dir, 1, 0, &options, &store, &err);
    if (rc == STANCH_E_CORRUPT)
        (void)fprintf(stderr, "%s\n", err.text);
    if (rc < 0)
        _exit(rc == STANCH_E_CORRUPT ? LIFE_DAMAGED : LIFE_REFUSED);
    ops = *store->ops;
    ops.commits_inline = true;
    store->ops = &ops;
    (void)ops.refill_reserve(store); /* as the commit thread does when it begins */
    return store;
}

/* The remote as the effects of the lives before left it. */
static void remember_remote(void)
{
    for (int life = 0; life < 2; life++)
        for (int i = 0; i < shared->sims[life].effect_count; i++) {
            const struct sim_effect *effect = &shared->sims[life].effects[i];
            const char *target = effect->value == 8 ? "s2" : "s1"; /* the scenario's values name their targets */
            json_object_set_new(sim->remote, target, json_integer(effect->value));
        }
}

static bool has_effect(const char *op, int value)
{
    for (int life = 0; life < 2; life++)
        for (int i = 0; i < shared->sims[life].effect_count; i++)
            if (strcmp(shared->sims[life].effects[i].op, op) == 0 && shared->sims[life].effects[i].value == value)
                return true;
    return false;
}

static int try_begin(void)
{
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *data =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:[{s:s,s:s},{s:s,s:s}], s:{}}", "run", "R-1", "runbook", "book", "path",
                  "book.lua", "commit", "c0ffee", "seed", "R-1", "uses", "instance", "fx", "action", "set_convergent",
                  "instance", "fx", "action", "set_unprotected", "params");
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, "INC-1", "run.started", "stanch", "R-1", json_incref(data));
    int rc = stanch_journal_append(sim->journal, batch, NULL, NULL, &err);
    if (rc == 0)
        stanch_engine_begin(sim->engine, data, "INC-1");
    return rc;
}

static void answer_questions(void)
{
    STANCH_AUTO_JSON json_t *questions = NULL;
    struct stanch_noun_query query = {.noun = "approval", .open = 1, .limit = 10};
    if (stanch_journal_list(sim->journal, &query, &questions, NULL) < 0)
        return;
    for (size_t i = 0; i < json_array_size(questions); i++) {
        const json_t *doc = json_array_get(questions, i);
        const char *about = stanch_json_str(doc, "about", "");
        const char *decision = strcmp(about, "unknown") == 0 ? (has_effect("apply", 8) ? "happened" : "did-not")
                               : strcmp(about, "keep") == 0  ? "keep"
                                                             : "approve";
        struct stanch_err err;
        const struct stanch_answer answer = {
            .by = "person:ada", .decision = decision, .plan = stanch_json_str(doc, "plan_digest", NULL)};
        (void)stanch_engine_decide(sim->engine, stanch_json_str(doc, "id", ""), &answer, &err);
    }
}

static bool is_run_over(void)
{
    char run[32];
    sim_state_of(sim, "run", "R-1", run);
    if (strcmp(run, "none") == 0)
        (void)try_begin();
    return strcmp(run, "succeeded") == 0 || strcmp(run, "failed") == 0 || strcmp(run, "cancelled") == 0;
}

/* The person takes M-1 back once the run is over. */
static bool is_taken_back(void)
{
    char state[32];
    struct stanch_err err;
    sim_state_of(sim, "mitigation", "M-1", state);
    if (strcmp(state, "in-force") == 0 || strcmp(state, "unknown") == 0)
        (void)stanch_engine_undo(sim->engine, "person:ada", "M-1", "enough", NULL, NULL, &err);
    return strcmp(state, "undone") == 0 || strcmp(state, "none") == 0;
}

/* What the switch says it did is so. */
static void turn_the_switch(const char *dir)
{
    struct stanch_err err;
    if (stanch_stop_set(dir, "a test", "person:ada", 0, &err) == 0 && !stanch_stop_is_set(dir))
        _exit(LIFE_SWITCH);
    for (int tries = 0; stanch_stop_clear(dir, &err) < 0; tries++)
        if (tries == 10)
            return;
    if (stanch_stop_is_set(dir))
        _exit(LIFE_SWITCH);
}

static void run_scenario(const char *dir)
{
    bool over = false;
    for (int turn = 0; turn < TURNS; turn++) {
        over = over || is_run_over();
        if (over && is_taken_back())
            return;
        answer_questions();
        stanch_journal_barrier(sim->journal, do_nothing, NULL);
        sim->journal->refill_at_ms = 0;
        sim_advance(sim, TURN_MS);
        sim->disk->ops->checkpoint(sim->disk);
        if (turn == 1)
            turn_the_switch(dir);
    }
    (void)fprintf(stderr, "stuck: the run is %s\n", over ? "over, the mitigation is in force" : "not over");
    _exit(LIFE_STUCK);
}

/* ---- what happened against what was promised ---- */

static bool has_entry(const char *kind, const char *member, const char *value)
{
    STANCH_AUTO_JSON json_t *steps = NULL;
    struct stanch_noun_query query = {.noun = kind, .open = -1, .limit = 100};
    if (strcmp(kind, "step") == 0)
        query.id_prefix = "R-1/";
    if (stanch_journal_list(sim->journal, &query, &steps, NULL) < 0)
        return false;
    for (size_t i = 0; i < json_array_size(steps); i++)
        if (strcmp(stanch_json_str(json_array_get(steps, i), member, ""), value) == 0)
            return true;
    return false;
}

static void check_effects(void)
{
    for (int life = 0; life < 2; life++)
        for (int i = 0; i < shared->sims[life].effect_count; i++) {
            const struct sim_effect *effect = &shared->sims[life].effects[i];
            bool undo = strcmp(effect->op, "undo") == 0;
            if (!has_entry(undo ? "mitigation" : "step", undo ? "undo_key" : "key", effect->key))
                _exit(LIFE_WITHOUT_INTENT);
            for (int later = i + 1; later < shared->sims[life].effect_count; later++)
                if (strcmp(shared->sims[life].effects[later].key, effect->key) == 0)
                    _exit(LIFE_TWICE);
            for (int later = 0; life == 0 && later < shared->sims[1].effect_count; later++)
                if (strcmp(shared->sims[1].effects[later].key, effect->key) == 0)
                    _exit(LIFE_TWICE);
        }
}

static int on_entry(void *ctx, const struct stanch_entry *entry)
{
    int *found = ctx;
    for (int i = 0; i < shared->told; i++)
        if (shared->told_seq[i] == entry->seq && strcmp(shared->told_hash[i], entry->hash) == 0)
            ++*found;
    return 0;
}

static void check_told(void)
{
    struct stanch_entry_query query = {.limit = 1000};
    int found = 0;
    if (stanch_journal_entries(sim->journal, &query, on_entry, &found, NULL) < 0 || found < shared->told)
        _exit(LIFE_LOST);
}

static void check_store(const char *dir)
{
    struct stanch_verify_result result;
    struct stanch_err err = {0};
    int64_t differences = -1;
    if (stanch_timeline_verify(dir, NULL, NULL, &result, &err) < 0 || result.bad_seq != 0 ||
        stanch_timeline_rebuild(dir, 1, &differences, &err) < 0 || differences != 0) {
        (void)fprintf(stderr, "%s %s, %lld differences\n", err.text, result.what, (long long)differences);
        _exit(LIFE_UNVERIFIED);
    }
}

/* ---- lives ---- */

/* A fault that was survived has left nothing behind. */
static bool is_leaking(void)
{
#ifdef STANCH_ASAN
    disarm();
    return __lsan_do_recoverable_leak_check() != 0;
#else
    return false;
#endif
}

static _Noreturn void live(const char *dir, int life)
{
    alarm(60);
    sim = &shared->sims[life];
    stanch_log_set_level((enum stanch_log_level) - 1); /* what fails here is meant to */
    struct stanch_err err = {0};
    if (sim_init_on(sim, "low", open_inline(dir), &err) < 0)
        _exit(LIFE_REFUSED);
    remember_remote();
    (void)stanch_journal_follow(sim->journal, on_told, NULL);
    sim_want(sim, json_pack("{s:s, s:{s:s}}", "op", "note", "args", "text", "begins"));
    sim_want(sim, sim_set("set_convergent", "s1", 7));
    json_t *risky = sim_set("set_unprotected", "s2", 8);
    json_object_set_new(json_object_get(risky, "args"), "risk", json_string("high"));
    sim_want(sim, risky);
    run_scenario(dir);
    if (life == 1) {
        check_told();
        check_effects();
    }
    sim_done(sim);
    if (life == 1)
        check_store(dir);
    _exit(life == 0 && is_leaking() ? LIFE_LEAKS : LIFE_DONE);
}

/* returns its exit code; 1000 and more: the signal that ended it */
static int begin_life(const char *dir, int life)
{
    pid_t pid = fork();
    if (pid == 0)
        live(dir, life);
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        exit(2);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static bool is_memory(size_t class)
{
    return classes[class].fault == VFS_NO_FAULT && classes[class].errnum == 0;
}

static void arm(size_t class, const char *dir, int at, int count)
{
    vfs.fault = classes[class].fault;
    vfs.fault_at = at;
    vfs.fault_count = count;
    vfs.calls = &shared->calls;
    vfs.on_fault = note_fault;
    libc_fault.dir = classes[class].errnum ? dir : NULL;
    libc_fault.errnum = classes[class].errnum > 0 ? classes[class].errnum : 0;
    libc_fault.at = at;
    libc_fault.count = count;
    libc_fault.calls = &shared->calls;
    libc_fault.on_fault = note_fault;
    malloc_fault.at = at;
    malloc_fault.count = count;
    malloc_fault.calls = &shared->calls;
    malloc_fault.on_fault = note_fault;
    malloc_fault.counts = is_memory(class);
}

static void disarm(void)
{
    vfs.fault = VFS_NO_FAULT;
    libc_fault.dir = NULL;
    malloc_fault.counts = false;
}

static char *new_dir(void)
{
    char template[] = "/dev/shm/stanch-sweep-XXXXXX";
    if (!mkdtemp(template))
        exit(2);
    return stanch_strdup(template);
}

static void drop_dir(const char *dir)
{
    STANCH_AUTO_FREE char *command = stanch_asprintf("rm -rf %s", dir);
    if (system(command) != 0) /* NOLINT(cert-env33-c): our own folder */
        exit(2);
}

struct sweep {
    int points, faulted, ended, refused, harms;
};

/* One point; false: the scenario has no such call any more. */
static bool try_point(size_t class, int at, int count, struct sweep *sweep)
{
    STANCH_AUTO_FREE char *dir = new_dir();
    memset(shared, 0, sizeof *shared);
    setenv("TMPDIR", dir, 1);
    arm(class, dir, at, count);
    int code = begin_life(dir, 0);
    disarm();
    bool faulted = shared->faulted > 0;
    int again = begin_life(dir, 1);
    sweep->points++;
    sweep->faulted += faulted;
    sweep->ended += code == LIFE_STORE || code == LIFE_NOMEM;
    sweep->refused += code == LIFE_REFUSED;
    bool good =
        code == LIFE_DONE || code == LIFE_STORE || code == LIFE_REFUSED || (code == LIFE_NOMEM && is_memory(class));
    good = good && again == LIFE_DONE;
    if (!good) {
        sweep->harms++;
        (void)printf("HARM %s:%d:%d ended with %d, then %d\n", classes[class].name, at, count, code, again);
    }
    drop_dir(dir);
    return faulted;
}

int main(int argc, char **argv)
{
    size_t class = 0;
    while (argc == 5 && class < sizeof classes / sizeof *classes && strcmp(classes[class].name, argv[1]) != 0)
        class ++;
    if (argc != 5 || class == sizeof classes / sizeof *classes) {
        (void)fprintf(stderr, "io_sweep CLASS COUNT FROM STEP\n");
        return 2;
    }
    int count = (int)strtol(argv[2], NULL, 10), from = (int)strtol(argv[3], NULL, 10);
    int step = (int)strtol(argv[4], NULL, 10);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    stanch_mem_init();
    stanch_digest_init();
    if (!is_memory(class))
        vfs_register(); /* SQLite runs from here on: too late for its memory */
    struct sweep sweep = {0};
    int at = from;
    while (try_point(class, at, count, &sweep) && sweep.harms < 20)
        at += step;
    (void)printf("{\"class\":\"%s\",\"count\":%d,\"last\":%d,\"points\":%d,\"ended\":%d,\"refused\":%d,\"harms\":%d}\n",
                 argv[1], count, at - step, sweep.faulted, sweep.ended, sweep.refused, sweep.harms);
    return sweep.harms > 0;
}
