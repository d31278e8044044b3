/* payload.c: one function for each kind of post. The sender's own id of the thing is the fingerprint, so that a post that
 * comes again is known. */
#include "payload.h"
#include <string.h>

#define NO_COMMIT "0000000000000000000000000000000000000000"

struct post {
    struct sdk_call *call;
    const json_t *body;
    const char *repository; /* "owner/name" */
    const char *service;
    const char *why; /* what is wrong; NULL: nothing */
    json_t *events;
};

/* The value at "a.b.c"; NULL when it is not there. */
static const json_t *at(const json_t *value, const char *path)
{
    char part[64];
    while (*path && value) {
        size_t len = strcspn(path, ".");
        memcpy(part, path, len);
        part[len] = '\0';
        value = json_object_get(value, part);
        path += len + (path[len] == '.');
    }
    return value;
}

static const char *text(const struct post *post, const char *path)
{
    const char *found = json_string_value(at(post->body, path));
    return found ? found : "";
}

/* A text that must be there. */
static const char *need(struct post *post, const char *path)
{
    const char *found = text(post, path);
    if (!*found && !post->why)
        post->why = sdk_text(post->call, "%s: a text was expected", path);
    return found;
}

static int64_t need_id(struct post *post, const char *path)
{
    const json_t *found = at(post->body, path);
    if (!json_is_integer(found) && !post->why)
        post->why = sdk_text(post->call, "%s: a number was expected", path);
    return json_integer_value(found);
}

static int64_t need_time(struct post *post, const char *path)
{
    int64_t ms = 0;
    const char *found = need(post, path);
    if (*found && !sdk_time_parse(found, &ms) && !post->why)
        post->why = sdk_text(post->call, "%s: not a time", path);
    return ms;
}

/* The first line, at most 200 bytes and no half character. */
static const char *first_line(struct post *post, const char *message)
{
    size_t len = strcspn(message, "\r\n");
    len = len > 200 ? 200 : len;
    while (len > 0 && ((unsigned char)message[len] & 0xc0) == 0x80)
        len--;
    return sdk_text(post->call, "%.*s", (int)len, message);
}

/* Is it in that list of the settings? `otherwise` when there is no list. */
static bool is_listed(const struct post *post, const char *setting, const char *value, bool otherwise)
{
    const json_t *list = json_object_get(sdk_settings(sdk_instance(post->call)), setting);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), value) == 0)
            return true;
    return list ? false : otherwise;
}

static void add(struct post *post, const char *fingerprint, int64_t at_ms, const struct sdk_change *change)
{
    if (post->why)
        return;
    json_t *labels = json_object();
    json_object_set_new(labels, "service", json_string(post->service));
    json_object_set_new(labels, "repository", json_string(post->repository));
    if (change->environment && *change->environment)
        json_object_set_new(labels, "env", json_string(change->environment));
    const char *where =
        change->environment && *change->environment ? sdk_text(post->call, " to %s", change->environment) : "";
    const struct sdk_event event = {
        .fingerprint = fingerprint,
        .starts_at_ms = at_ms,
        .name = sdk_text(post->call, "%s of %s%s %s", change->kind, post->service, where, change->state),
        .summary = change->text,
        .labels = labels,
        .link = change->link,
        .change = change,
    };
    sdk_event(post->events, &event);
    json_decref(labels);
}

/* queued, in_progress, pending, waiting: it has begun and is not over. */
static const char *state_of(const char *word)
{
    static const char *const failed[] = {"failure",   "error",           "timed_out",
                                         "cancelled", "startup_failure", "action_required"};
    if (strcmp(word, "success") == 0)
        return "succeeded";
    for (size_t i = 0; i < sizeof failed / sizeof *failed; i++)
        if (strcmp(word, failed[i]) == 0)
            return "failed";
    return strcmp(word, "inactive") == 0 || strcmp(word, "skipped") == 0 || strcmp(word, "neutral") == 0 ? word
                                                                                                         : "started";
}

static const char *about_deployment(struct post *post)
{
    const char *description = text(post, "deployment.description");
    return *description ? first_line(post, description)
                        : sdk_text(post->call, "%s of %s", text(post, "deployment.task"), need(post, "deployment.ref"));
}

static void take_deployment(struct post *post)
{
    const char *environment = need(post, "deployment.environment");
    if (!is_listed(post, "environments", environment, true))
        return;
    const struct sdk_change change = {.kind = "deploy",
                                      .service = post->service,
                                      .name = text(post, "deployment.ref"),
                                      .text = about_deployment(post),
                                      .by = text(post, "deployment.creator.login"),
                                      .state = "started",
                                      .environment = environment,
                                      .commit = need(post, "deployment.sha")};
    int64_t id = need_id(post, "deployment.id");
    add(post, sdk_text(post->call, "deployment/%lld", (long long)id), need_time(post, "deployment.created_at"),
        &change);
}

static void take_deployment_status(struct post *post)
{
    const char *environment = text(post, "deployment_status.environment");
    environment = *environment ? environment : need(post, "deployment.environment");
    if (!is_listed(post, "environments", environment, true))
        return;
    const char *said = text(post, "deployment_status.description");
    const char *log = text(post, "deployment_status.log_url");
    const struct sdk_change change = {.kind = "deploy",
                                      .service = post->service,
                                      .name = text(post, "deployment.ref"),
                                      .text = *said ? first_line(post, said) : about_deployment(post),
                                      .by = text(post, "deployment_status.creator.login"),
                                      .state = state_of(need(post, "deployment_status.state")),
                                      .environment = environment,
                                      .commit = need(post, "deployment.sha"),
                                      .link = *log ? log : text(post, "deployment_status.target_url")};
    int64_t id = need_id(post, "deployment_status.id");
    add(post, sdk_text(post->call, "deployment_status/%lld", (long long)id),
        need_time(post, "deployment_status.created_at"), &change);
}

/* GitHub sends no time of the push itself but repository.pushed_at, in seconds. */
static int64_t time_of_push(struct post *post)
{
    const json_t *pushed = at(post->body, "repository.pushed_at");
    if (json_is_integer(pushed))
        return json_integer_value(pushed) * 1000;
    return need_time(post, "head_commit.timestamp");
}

static void take_push(struct post *post)
{
    const char *ref = need(post, "ref"), *branch = ref;
    if (strncmp(ref, "refs/heads/", strlen("refs/heads/")) == 0)
        branch = ref + strlen("refs/heads/");
    bool is_default = strcmp(branch, text(post, "repository.default_branch")) == 0;
    const char *after = need(post, "after"), *before = need(post, "before");
    if (post->why || branch == ref || strcmp(after, NO_COMMIT) == 0 || !is_listed(post, "branches", branch, is_default))
        return; /* a tag, a branch that was deleted, one that is not followed */
    const struct sdk_change change = {.kind = "push",
                                      .service = post->service,
                                      .name = branch,
                                      .text = first_line(post, text(post, "head_commit.message")),
                                      .by = text(post, "pusher.name"),
                                      .state = "succeeded",
                                      .commit = after,
                                      .previous = strcmp(before, NO_COMMIT) == 0 ? NULL : before,
                                      .link = text(post, "compare")};
    add(post, sdk_text(post->call, "push/%s/%s/%s", post->repository, branch, after), time_of_push(post), &change);
}

static void take_workflow_run(struct post *post)
{
    const char *conclusion = text(post, "workflow_run.conclusion"), *status = need(post, "workflow_run.status");
    const struct sdk_change change = {.kind = "workflow",
                                      .service = post->service,
                                      .name = need(post, "workflow_run.name"),
                                      .text = first_line(post, text(post, "workflow_run.head_commit.message")),
                                      .by = text(post, "workflow_run.actor.login"),
                                      .state = state_of(*conclusion ? conclusion : status),
                                      .commit = need(post, "workflow_run.head_sha"),
                                      .link = text(post, "workflow_run.html_url")};
    int64_t id = need_id(post, "workflow_run.id");
    int64_t attempt = json_integer_value(at(post->body, "workflow_run.run_attempt"));
    add(post, sdk_text(post->call, "workflow_run/%lld/%lld/%s", (long long)id, (long long)attempt, change.state),
        need_time(post, "workflow_run.updated_at"), &change);
}

const char *github_events(struct sdk_call *call, const char *kind, const json_t *body, json_t *events)
{
    static const struct {
        const char *kind;
        void (*take)(struct post *post);
    } kinds[] = {{"deployment", take_deployment},
                 {"deployment_status", take_deployment_status},
                 {"push", take_push},
                 {"workflow_run", take_workflow_run}};
    struct post post = {.call = call, .body = body, .events = events};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].kind, kind) != 0)
            continue;
        post.repository = need(&post, "repository.full_name");
        const json_t *services = json_object_get(sdk_settings(sdk_instance(call)), "services");
        const char *service = json_string_value(json_object_get(services, post.repository));
        post.service = service ? service : need(&post, "repository.name");
        kinds[i].take(&post);
        return post.why;
    }
    return NULL; /* a ping, or what was ticked beside these: taken, and nothing follows from it */
}
