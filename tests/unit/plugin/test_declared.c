/* test_declared.c: what instances declare is known without opening any: nothing of theirs is touched, nothing outside
 * can be reached, and what is told is what an opened one tells. */
#include "world.h"
#include <ftw.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

#define URL "\"url\": \"http://127.0.0.1:1\""

/* Settings with which each shipped plugin can be opened, nothing being there; "*": given as a secret. */
static const struct {
    const char *plugin, *settings;
} shipped[] = {
    {"alertmanager", "{\"token\": \"*\"}"},
    {"argocd", "{" URL ", \"token\": \"*\"}"},
    {"aws", "{" URL ", \"region\": \"eu-west-1\", \"groups\": [\"web\"], \"access_key_id\": \"*\","
            " \"secret_access_key\": \"*\"}"},
    {"exec",
     "{\"actions\": {\"purge\": {\"summary\": \"Empty the cache\", \"class\": \"unprotected\", \"risk\": \"low\","
     " \"command\": \"/bin/true\", \"args\": [\"{what}\"], \"params\": {\"what\": {\"summary\": \"whose\"}},"
     " \"no_plan_because\": \"a cache is not listed\","
     " \"targets\": [\"cache:{what}\"], \"impact\": \"{what} is empty\","
     " \"no_undo_because\": \"it fills itself\"}}}"},
    {"generic", "{\"token\": \"*\", \"each\": \"/alerts\", \"fingerprint\": \"/id\", \"state\": \"/status\","
                " \"resolved_when\": [\"ok\"], \"starts_at\": \"/since\", \"name\": \"/title\"}"},
    {"github", "{\"secret\": \"*\"}"},
    {"gitops", "{\"url\": \"https://127.0.0.1:1/repo.git\", \"branch\": \"main\", \"token\": \"*\"}"},
    {"haproxy", "{\"socket\": \"unix:/run/stanch-no-such-socket\"}"},
    {"http",
     "{" URL ", \"token\": \"*\", \"actions\": {\"flush\": {\"summary\": \"Flush it\", \"class\": \"unprotected\","
     " \"risk\": \"low\", \"params\": {\"zone\": {\"summary\": \"which\"}}, \"apply\": {\"method\": \"POST\", \"path\":"
     " \"/zones/{zone}/flush\"}, \"targets\": [\"zone:{zone}\"], \"impact\": \"{zone} is empty\","
     " \"no_read_because\": \"a cache is not listed\", \"no_undo_because\": \"it fills itself\"}}}"},
    {"ical", "{\"url\": \"http://127.0.0.1:1/calendar.ics\", \"token\": \"*\"}"},
    {"kubernetes", "{" URL ", \"namespaces\": [\"shop\"], \"token\": \"*\"}"},
    {"launchdarkly", "{" URL ", \"token\": \"*\", \"projects\": [\"shop\"], \"environments\": [\"production\"]}"},
    {"pagerduty", "{" URL ", \"routing_key\": \"*\"}"},
    {"prometheus", "{" URL ", \"token\": \"*\"}"},
    {"unleash", "{" URL ", \"token\": \"*\", \"environments\": [\"production\"]}"},
    {"webhook", "{" URL ", \"secret\": \"*\"}"},
};

static json_t *secret_file(const char *path)
{
    return json_pack("{s:{s:s}}", "$secret", "file", path);
}

/* new; NULL: there is no row for it */
static json_t *settings_of(const struct world *world, const char *plugin)
{
    for (size_t i = 0; i < sizeof shipped / sizeof *shipped; i++) {
        if (strcmp(shipped[i].plugin, plugin) != 0)
            continue;
        json_error_t why;
        json_t *settings = json_loads(shipped[i].settings, 0, &why), *value;
        const char *name;
        if (!settings)
            fail_msg("%s: %s", plugin, why.text);
        json_object_foreach(settings, name,
                            value) if (json_is_string(value) && strcmp(json_string_value(value), "*") == 0)
            json_object_set_new(settings, name, secret_file(world->token));
        return settings;
    }
    return NULL;
}

static json_t *config(const char *name, const char *plugin, json_t *settings)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:i}", "name", name, "plugin", plugin, "environment", "test", "settings",
                     settings, "line", 12);
}

static char *folder(const char *name)
{
    return stanch_asprintf("%s/%s", getenv("STANCH_BUILD"), name);
}

/* Not even one that waits to be reaped. */
static void assert_no_process_is_left(void)
{
    siginfo_t info = {0};
    assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1);
    assert_int_equal(errno, ECHILD);
}

static int ask(struct world *world, const char *dir, json_t *instances, json_t **ret, struct stanch_err *err)
{
    int rc = stanch_plugins_declared(world->loop, getenv("STANCH_BIN"), dir, instances, ret, err);
    json_decref(instances);
    assert_no_process_is_left();
    return rc;
}

/* Of plugins that only tests load. new */
static json_t *declared(struct world *world, json_t *instances)
{
    STANCH_AUTO_FREE char *dir = folder("plugins-test");
    struct stanch_err err = {0};
    json_t *all = NULL;
    if (ask(world, dir, instances, &all, &err) < 0)
        fail_msg("%s", err.text);
    return all;
}

static void refused(struct world *world, const char *plugins, json_t *instances, int code, const char *text)
{
    STANCH_AUTO_FREE char *dir = folder(plugins);
    struct stanch_err err = {0};
    json_t *all = NULL;
    assert_int_equal(ask(world, dir, instances, &all, &err), code);
    assert_null(all);
    assert_int_equal(err.code, code);
    if (strncmp(err.text, text, strlen(text)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", err.text, text);
}

/* ---- the same as opened ones ---- */

/* Every plugin that was built to be shipped. new: instances, their settings as in the table */
static json_t *all_shipped(const struct world *world, const char *dir)
{
    json_t *instances = json_array();
    DIR *list = opendir(dir);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));) {
        char *end = strstr(entry->d_name, ".so");
        if (!end || end[3] != '\0')
            continue;
        *end = '\0';
        json_t *settings = settings_of(world, entry->d_name);
        json_array_append_new(instances, config(entry->d_name, entry->d_name, settings ? settings : json_object()));
    }
    closedir(list);
    assert_true(json_array_size(instances) >= sizeof shipped / sizeof *shipped);
    return instances;
}

static void open_all(struct world *world, const char *dir, const json_t *instances)
{
    struct stanch_err err = {0};
    size_t i;
    json_t *one;
    stanch_plugins_free(world->plugins);
    world->plugins = NULL;
    stanch_loop_run_once(world->loop);
    if (stanch_plugins_new(world->loop, getenv("STANCH_BIN"), dir, world->dir, world->lock, &world->plugins, &err) < 0)
        fail_msg("%s", err.text);
    json_array_foreach((json_t *)(uintptr_t)instances, i, one)
    {
        json_t *settings = settings_of(world, stanch_json_str(one, "plugin", ""));
        if (settings && stanch_plugins_add(world->plugins, one, &err) < 0)
            fail_msg("%s", err.text);
        json_decref(settings);
    }
    stanch_plugins_when_ready(world->plugins, on_world_ready, world);
    wait_for(world, &world->ready, 1);
    if (world->ready_err.code)
        fail_msg("%s", world->ready_err.text);
}

static int on_remove(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static void each_shipped_plugin_tells_the_same(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    STANCH_AUTO_FREE char *dir = folder("plugins");
    STANCH_AUTO_FREE char *own = stanch_asprintf("%s/plugins", world->dir);
    STANCH_AUTO_JSON json_t *instances = all_shipped(world, dir);
    json_t *all = NULL, *told;
    const char *name;
    if (ask(world, dir, json_incref(instances), &all, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(json_object_size(all), json_array_size(instances));
    assert_int_equal(access(own, F_OK), -1);
    open_all(world, dir, instances);
    json_object_foreach(all, name, told)
    {
        assert_string_equal(stanch_json_str(told, "plugin", ""), name);
        const json_t *opened = stanch_plugins_describe(world->plugins, name);
        if (opened && !json_equal(told, opened)) {
            char *texts[] = {json_dumps(told, JSON_SORT_KEYS), json_dumps(opened, JSON_SORT_KEYS)};
            fail_msg("declared: %s\nopened:   %s", texts[0], texts[1]);
        }
    }
    assert_int_equal(access(own, F_OK), 0); /* of gitops, since it was opened */
    json_decref(all);
    stanch_plugins_free(world->plugins);
    world->plugins = NULL;
    assert_int_equal(nftw(own, on_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- nothing is touched ---- */

/* How often files were opened since; what is watched is one file. */
static int count_opened(int watch)
{
    _Alignas(struct inotify_event) char bytes[4096];
    int count = 0;
    for (ssize_t n; (n = read(watch, bytes, sizeof bytes)) > 0;)
        for (char *at = bytes; at < bytes + n;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)at;
            count += (event->mask & IN_OPEN) != 0;
            at += sizeof *event + event->len;
        }
    return count;
}

static int watch_file(const char *path)
{
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(inotify_add_watch(watch, path, IN_OPEN | IN_CLOSE_NOWRITE) >= 0);
    return watch;
}

static void no_secret_is_touched(void **state)
{
    struct world *world = *state;
    STANCH_AUTO_FREE char *fifo = stanch_asprintf("%s/fifo", world->dir);
    json_t *first = effects_config(world, "effects"), *second = effects_config(world, "second"),
           *third = effects_config(world, "third");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    write_file(world->token, "canary-4711-s3cret\n", 0);
    int file_watch = watch_file(world->token), fifo_watch = watch_file(fifo), fd;
    json_object_set_new(json_object_get(second, "settings"), "token", secret_file(fifo));
    json_object_set_new(json_object_get(third, "settings"), "token",
                        json_pack("{s:{s:s}}", "$secret", "env", "STANCH_NO_SUCH_VARIABLE"));
    json_t *kit =
        config("kit", "kit",
               json_pack("{s:o, s:{s:{s:s}}}", "token", secret_file(fifo), "extra", "dim", "summary", "less light"));
    json_t *all = declared(world, json_pack("[o, o, o, o]", first, second, third, kit));
    assert_int_equal(json_object_size(all), 4);
    assert_non_null(json_object_get(json_object_get(json_object_get(all, "kit"), "actions"), "dim"));
    assert_string_equal(stanch_json_str(json_object_get(all, "third"), "environment", ""), "test");
    assert_string_equal(stanch_json_str(json_object_get(all, "third"), "state", ""), "up");
    assert_int_equal(count_opened(file_watch), 0);
    assert_int_equal(count_opened(fifo_watch), 0);
    assert_int_equal(chmod(world->token, 0600), 0);
    fd = open(world->token, O_RDONLY | O_CLOEXEC); /* and it would have been seen */
    assert_true(fd >= 0);
    assert_int_equal(count_opened(file_watch), 1);
    assert_int_equal(access(world->log, F_OK), -1);
    assert_int_equal(access(world->state, F_OK), -1);
    close(fd);
    close(file_watch);
    close(fifo_watch);
    json_decref(all);
}

/* What is not asked for cannot be wrong: a plugin that does not declare by its settings is never given any. */
static void settings_are_not_given(void **state)
{
    struct world *world = *state;
    json_t *all = declared(world, json_pack("[o]", config("a", "effects", json_pack("{s:i}", "lgo", 1))));
    assert_int_equal(json_object_size(json_object_get(json_object_get(all, "a"), "actions")), 6);
    json_decref(all);
}

/* A plugin of this world's own: other tests open the one that is built, at the same time. new: its path */
static char *copy_effects(const struct world *world)
{
    STANCH_AUTO_FREE char *built = folder("plugins-test/effects.so");
    char *own = stanch_asprintf("%s/effects.so", world->dir);
    struct stat size;
    int from = open(built, O_RDONLY | O_CLOEXEC), to = open(own, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    assert_true(from >= 0 && to >= 0);
    assert_int_equal(fstat(from, &size), 0);
    for (off_t at = 0; at < size.st_size;)
        assert_true(sendfile(to, from, &at, (size_t)(size.st_size - at)) > 0);
    close(from);
    close(to);
    return own;
}

static void one_host_for_a_plugin(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    json_t *one = NULL, *all = NULL;
    STANCH_AUTO_FREE char *so = copy_effects(world);
    int watch = watch_file(so);
    assert_int_equal(ask(world, world->dir, json_pack("[o]", effects_config(world, "a")), &one, &err), 0);
    json_decref(one);
    int alone = count_opened(watch);
    assert_true(alone > 0);
    json_t *three =
        json_pack("[o, o, o]", effects_config(world, "a"), effects_config(world, "b"), effects_config(world, "c"));
    assert_int_equal(ask(world, world->dir, three, &all, &err), 0);
    assert_int_equal(count_opened(watch), alone);
    assert_string_equal(stanch_json_str(json_object_get(all, "c"), "name", ""), "c");
    assert_int_equal(json_object_size(json_object_get(json_object_get(all, "c"), "actions")), 6);
    json_decref(all);
    close(watch);
    all = declared(world, json_array());
    assert_int_equal(json_object_size(all), 0);
    json_decref(all);
}

/* Not even code that runs while it is loaded. That an opened one is stopped less shows that it does try. */
static void nothing_outside_is_reached(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    json_t *all = declared(world, json_pack("[o]", config("early", "early", json_object())));
    assert_string_equal(
        stanch_json_str(json_object_get(all, "early"), "summary", ""),
        "inet=EPERM unix=EPERM mkdir=EPERM create=EPERM write=EPERM change=EPERM read=works link=EPERM chmod=EPERM "
        "truncate=EPERM rename=EPERM unlink=EPERM rmdir=EPERM parent=EPERM environment=ENOENT");
    json_decref(all);
    assert_int_equal(add(world, config("early", "early", json_object()), &err), 0);
    stanch_plugins_when_ready(world->plugins, on_world_ready, world);
    wait_for(world, &world->ready, 1);
    assert_string_equal(
        stanch_json_str(stanch_plugins_describe(world->plugins, "early"), "summary", ""),
        "inet=works unix=works mkdir=works create=works write=works change=works read=works link=works chmod=works "
        "truncate=works rename=works unlink=works rmdir=works parent=EPERM environment=ENOENT");
}

/* ---- by the settings ---- */

static const json_t *action_of(const json_t *all, const char *instance, const char *action)
{
    return json_object_get(json_object_get(json_object_get(all, instance), "actions"), action);
}

static void actions_of_the_settings(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    STANCH_AUTO_FREE char *dir = folder("plugins");
    json_t *all = NULL;
    json_t *instances = json_pack("[o, o, o]", config("cdn", "http", settings_of(world, "http")),
                                  config("scripts", "exec", settings_of(world, "exec")),
                                  config("other", "http", settings_of(world, "http")));
    json_t *flush =
        json_object_get(json_object_get(json_object_get(json_array_get(instances, 2), "settings"), "actions"), "flush");
    json_object_set_new(flush, "risk", json_string("high"));
    if (ask(world, dir, instances, &all, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(stanch_json_str(action_of(all, "cdn", "flush"), "risk", ""), "low");
    assert_string_equal(stanch_json_str(action_of(all, "other", "flush"), "risk", ""), "high");
    assert_string_equal(stanch_json_str(action_of(all, "scripts", "purge"), "class", ""), "unprotected");
    assert_true(stanch_json_bool(json_object_get(action_of(all, "cdn", "flush"), "has"), "plan", false));

    const json_t *cdn = json_object_get(all, "cdn");
    json_t *args = json_pack("{s:s}", "zone", "eu");
    assert_int_equal(stanch_described_check_args(cdn, "flush", args, &err), 0);
    json_object_set_new(args, "zoen", json_string("eu"));
    assert_int_equal(stanch_described_check_args(cdn, "flush", args, &err), STANCH_E_INVALID);
    assert_string_equal(err.text, "args.zoen: no such argument; did you mean \"zone\"?");
    assert_int_equal(stanch_described_check_args(cdn, "flash", args, &err), STANCH_E_NOT_FOUND);
    assert_string_equal(err.text, "http \"cdn\" has no action \"flash\"; did you mean \"flush\"?");
    json_decref(args);
    json_decref(all);
}

/* A reference that stands where none is expected is no part of what is handed over either. */
static void secrets_deep_inside(void **state)
{
    struct world *world = *state;
    int watch = watch_file(world->token);
    json_t *extra = json_pack("{s:{s:s}, s:o}", "dim", "summary", "less light", "deep", secret_file(world->token));
    json_t *all = declared(world, json_pack("[o]", config("kit", "kit", json_pack("{s:o}", "extra", extra))));
    assert_non_null(action_of(all, "kit", "dim"));
    assert_null(action_of(all, "kit", "deep"));
    assert_int_equal(count_opened(watch), 0);
    json_decref(all);
    close(watch);
    extra = json_pack("{s:{s:o}}", "dim", "summary", secret_file(world->token));
    refused(world, "plugins-test", json_pack("[o]", config("kit", "kit", json_pack("{s:o}", "extra", extra))),
            STANCH_E_INVALID, "line 12: kit \"kit\": settings.extra.dim.summary: missing");
}

/* ---- what fails ---- */

static json_t *two(json_t *second)
{
    return json_pack("[o, o]", config("first", "kit", json_object()), second);
}

static void what_is_refused(void **state)
{
    struct world *world = *state;
    json_t *settings = settings_of(world, "http");
    refused(world, "plugins-test", two(config("a", "efects", json_object())), STANCH_E_NOT_FOUND,
            "line 12: efects \"a\": there is no plugin \"efects\"");
    refused(world, "plugins-test", two(config("first", "effects", json_object())), STANCH_E_INVALID,
            "line 12: effects \"first\": name: there is another instance");
    refused(world, "plugins-test", json_pack("[o]", json_pack("{s:s}", "name", "a")), STANCH_E_INVALID,
            " \"a\": plugin: \"\" is no name of a plugin");
    refused(world, "plugins-test",
            two(config("k", "kit", json_pack("{s:{s:{s:s}}}", "extra", "wrong", "summary", "-"))), STANCH_E_INVALID,
            "line 12: kit \"k\": the plugin refused its settings: extra.wrong: this name is not for you");
    json_object_del(settings, "url");
    refused(world, "plugins", json_pack("[o]", config("cdn", "http", settings)), STANCH_E_INVALID,
            "line 12: http \"cdn\": settings.url: missing");
    settings = settings_of(world, "http");
    json_object_set_new(settings, "check_path", secret_file(world->token));
    refused(world, "plugins", json_pack("[o]", config("cdn", "http", settings)), STANCH_E_INVALID,
            "line 12: http \"cdn\": settings.check_path: this setting is not a secret");
    settings = settings_of(world, "http");
    json_object_set_new(settings, "token", json_string("canary-4711-s3cret"));
    refused(world, "plugins", json_pack("[o]", config("cdn", "http", settings)), STANCH_E_INVALID,
            "line 12: http \"cdn\": settings.token: this is a secret; write secret.file");
}

static void plugins_that_cannot_be_loaded(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    json_t *all = NULL;
    STANCH_AUTO_FREE char *text = stanch_asprintf("%s/text.so", world->dir);
    write_file(text, "this is no plugin\n", 0600);
    assert_int_equal(ask(world, world->dir, json_pack("[o]", config("t", "text", json_object())), &all, &err),
                     STANCH_E_INVALID);
    assert_non_null(strstr(err.text, "line 12: text \"t\": "));
    assert_non_null(strstr(err.text, "text.so could not be loaded"));
    refused(world, "plugins-test", two(config("d", "early-dies", json_object())), STANCH_E_CRASHED,
            "line 12: early-dies \"d\": the host was ended by signal 9");
    refused(world, "plugins-test",
            json_pack("[o, o, o]", config("h", "early-hangs", json_object()), config("first", "kit", json_object()),
                      config("d", "early-dies", json_object())),
            STANCH_E_TIMEOUT, "line 12: early-hangs \"h\": the host did not say hello within 15 s");
    assert_int_equal(stanch_plugins_declared(world->loop, "/nowhere/stanch", world->dir, NULL, &all, NULL), 0);
    json_decref(all);
    json_t *instances = json_pack("[o]", config("t", "text", json_object()));
    assert_int_equal(stanch_plugins_declared(world->loop, "/nowhere/stanch", world->dir, instances, &all, &err),
                     STANCH_E_SYSTEM);
    assert_non_null(strstr(err.text, "line 12: text \"t\": /nowhere/stanch plugin-host could not be started"));
    json_decref(instances);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_new, world_free)
    const struct CMUnitTest tests[] = {
        TEST(each_shipped_plugin_tells_the_same),
        TEST(no_secret_is_touched),
        TEST(settings_are_not_given),
        TEST(one_host_for_a_plugin),
        TEST(nothing_outside_is_reached),
        TEST(actions_of_the_settings),
        TEST(secrets_deep_inside),
        TEST(what_is_refused),
        TEST(plugins_that_cannot_be_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
