/* gitops.c: a deploy repository's branch: take a commit back, put a freeze file there. Declaration and settings; the
 * other files are in gitops.h. */
#include "gitops.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE      "\"type\":\"string\",\"minLength\":1,\"maxLength\":200,\"pattern\":\"^[^[:cntrl:]]+$\""
#define PATH_RULE "\"type\":\"string\",\"minLength\":1,\"maxLength\":1000,\"pattern\":\"^[^/[:cntrl:]][^[:cntrl:]]*$\""
#define CHANGES                                                                                                        \
    "\"effect\":\"mitigate\",\"class\":\"reconcilable\",\"settle_ms\":3000,\"deadline_ms\":30000,"                     \
    "\"ops\":[\"plan\",\"apply\",\"verify\",\"undo\",\"reconcile\"]"
#define READS "\"effect\":\"read\",\"class\":\"read-only\",\"deadline_ms\":30000"

static const char declaration[] =
    "{\"name\":\"gitops\",\"version\":\"0.1.0\","
    "\"summary\":\"A deploy repository: take a commit back, freeze deploys\",\"needs\":[\"state\"],"
    "\"settings\":{"
    "\"url\":{\"type\":\"string\",\"maxLength\":1000,\"pattern\":\"^(ssh|https)://[^[:space:][:cntrl:]]+$\","
    "\"summary\":\"the repository: ssh://git@host/path or https://host/path; this or directory\"},"
    "\"directory\":{\"type\":\"string\",\"format\":\"path\","
    "\"summary\":\"a bare repository on this machine, without hooks; this or url\"},"
    "\"branch\":{" LINE ",\"required\":true,\"summary\":\"what is deployed\"},"
    "\"ssh_key\":{\"type\":\"string\",\"secret\":true,"
    "\"summary\":\"ssh: private key, ed25519 or ECDSA, without a passphrase\"},"
    "\"known_hosts\":{\"type\":\"string\",\"format\":\"file\","
    "\"summary\":\"ssh: the host keys that are trusted; no others are\"},"
    "\"token\":{\"type\":\"string\",\"secret\":true,\"summary\":\"https: sent as the password, to that host alone\"},"
    "\"ca_file\":{\"type\":\"string\",\"format\":\"ca-file\","
    "\"summary\":\"https: certificates in PEM to trust instead of the system's\"},"
    "\"author_name\":{" LINE ",\"summary\":\"of the commits; Stanch when it is not set\"},"
    "\"author_email\":{" LINE ",\"summary\":\"of the commits; stanch@localhost when it is not set\"},"
    "\"paths\":{\"type\":\"array\",\"items\":{" PATH_RULE "},\"minItems\":1,"
    "\"summary\":\"files and folders that a revert may change; all when it is not set\"},"
    "\"migrations\":{\"type\":\"array\",\"items\":{" LINE "},\"minItems\":1,"
    "\"summary\":\"patterns of files that change data: db/migrations/*\"},"
    "\"freeze_file\":{" PATH_RULE ",\"summary\":\"what `freeze` writes, and the deployer heeds\"},"
    "\"freeze_content\":{\"type\":\"string\",\"maxLength\":65536,\"summary\":\"what stands in it; `frozen by stanch` "
    "and a "
    "newline when it is not set\"}},"
    "\"check\":{\"summary\":\"read the branch, begin a push\",\"deadline_ms\":30000},"
    "\"actions\":{"
    "\"revert\":{\"summary\":\"take a commit back: a revert commit, pushed\",\"risk\":\"medium\"," CHANGES
    ",\"params\":{"
    "\"commit\":{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{7,40}$\","
    "\"summary\":\"which; the newest that is not from stanch when it is left out\"},"
    "\"path\":{" PATH_RULE ",\"summary\":\"only what is beneath this file or folder\"}}},"
    "\"freeze\":{\"summary\":\"put the freeze file onto the branch\",\"risk\":\"low\"," CHANGES ",\"params\":{}},"
    "\"log\":{\"summary\":\"the newest commits of the branch's own line, and which are from stanch\"," READS
    ",\"params\":{"
    "\"count\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100,\"summary\":\"how many; 10 when it is left out\"}}},"
    "\"head\":{\"summary\":\"the branch's newest commit, and whether the freeze file is there\"," READS
    ",\"params\":{}}}}";

/* ---- settings ---- */

static bool is_path(const char *path)
{
    size_t len = strlen(path);
    const char *framed = path;
    if (len == 0 || *path == '/' || strstr(path, "//"))
        return false;
    for (const char *part = framed; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
        size_t part_len = strcspn(part, "/");
        if ((part_len == 1 && part[0] == '.') || (part_len == 2 && strncmp(part, "..", 2) == 0) ||
            (part_len == 4 && strncasecmp(part, ".git", 4) == 0))
            return false;
    }
    return true;
}

static const char *check_paths(struct sdk_instance *instance, const struct gitops *gitops)
{
    for (size_t i = 0; i < json_array_size(gitops->paths); i++)
        if (!is_path(json_string_value(json_array_get(gitops->paths, i))))
            return sdk_why(instance, "settings.paths[%zu]: a path inside of the repository was expected", i + 1);
    if (gitops->freeze_file &&
        (!is_path(gitops->freeze_file) || gitops->freeze_file[strlen(gitops->freeze_file) - 1] == '/'))
        return "settings.freeze_file: a file's path inside of the repository was expected";
    return NULL;
}

static const char *check_https(struct sdk_instance *instance, struct gitops *gitops)
{
    if (gitops->key || sdk_setting(instance, "known_hosts", NULL))
        return "settings.ssh_key, settings.known_hosts: for ssh only; https takes token and ca_file";
    return gitops->token ? gitops_streams_start()
                         : "settings.token: missing; the token that may push to the repository was expected";
}

/* ssh://[user@]host[:port]/path, or https; no password in it. */
static const char *check_url(struct sdk_instance *instance, struct gitops *gitops)
{
    bool is_https = strncmp(gitops->url, "https://", 8) == 0;
    const char *rest = strstr(gitops->url, "://") + 3, *slash = strchr(rest, '/');
    const char *at = memchr(rest, '@', slash ? (size_t)(slash - rest) : strlen(rest));
    if (!slash || slash == rest || !slash[1] || at == rest || (at && at + 1 == slash))
        return is_https ? "settings.url: https://HOST/PATH was expected"
                        : "settings.url: ssh://USER@HOST/PATH was expected";
    if (at && memchr(rest, ':', (size_t)(at - rest)))
        return is_https ? "settings.url: a password in the URL; it is the setting token"
                        : "settings.url: a password in the URL; only a key (ssh_key) is taken";
    gitops->user = at ? strndup(rest, (size_t)(at - rest)) : strdup("git");
    gitops->remote = strdup(gitops->url);
    if (is_https)
        return check_https(instance, gitops);
    if (gitops->token || sdk_setting(instance, "ca_file", NULL))
        return "settings.token, settings.ca_file: for https only; ssh takes ssh_key and known_hosts";
    if (!gitops->key)
        return "settings.ssh_key: missing; the key that the remote knows was expected";
    if (!sdk_setting(instance, "known_hosts", NULL))
        return "settings.known_hosts: missing; the file with the remote's host key was expected (ssh-keyscan prints "
               "it)";
    return NULL;
}

static const char *check_remote(struct sdk_instance *instance, struct gitops *gitops)
{
    int is_valid = 0;
    if (!gitops->url == !gitops->directory)
        return "settings: either url or directory was expected";
    if (git_reference_name_is_valid(&is_valid, gitops->ref) < 0 || !is_valid)
        return sdk_why(instance, "settings.branch: \"%s\" is not a name of a branch", gitops->branch);
    if (gitops->url)
        return check_url(instance, gitops);
    gitops->remote = strdup(gitops->directory);
    return NULL;
}

static void read_settings(struct sdk_instance *instance, struct gitops *gitops)
{
    const json_t *settings = sdk_settings(instance);
    size_t len = 0;
    gitops->name = sdk_instance_name(instance);
    gitops->url = sdk_setting(instance, "url", NULL);
    gitops->directory = sdk_setting(instance, "directory", NULL);
    gitops->branch = sdk_setting(instance, "branch", "");
    gitops->author_name = sdk_setting(instance, "author_name", "Stanch");
    gitops->author_email = sdk_setting(instance, "author_email", "stanch@localhost");
    gitops->freeze_file = sdk_setting(instance, "freeze_file", NULL);
    gitops->freeze_content = sdk_setting(instance, "freeze_content", "frozen by stanch\n");
    gitops->paths = json_object_get(settings, "paths");
    gitops->migrations = json_object_get(settings, "migrations");
    const char *key = sdk_instance_secret(instance, "ssh_key", &len);
    gitops->key = key ? calloc(1, len + 2) : NULL; /* the host took the last line's end, which a key in PEM has */
    if (gitops->key)
        (void)snprintf(gitops->key, len + 2, "%.*s\n", (int)len, key);
    const char *token = sdk_instance_secret(instance, "token", NULL);
    gitops->token = token ? strdup(token) : NULL;
    gitops->ca_file = sdk_setting(instance, "ca_file", NULL);
    gitops->state_dir = sdk_state_dir(instance);
    gitops->ref = malloc(strlen(gitops->branch) + 16);
    gitops->clone_dir = malloc(strlen(gitops->state_dir) + 16);
    if (!gitops->ref || !gitops->clone_dir)
        abort();
    (void)sprintf(gitops->ref, "refs/heads/%s", gitops->branch);
    (void)sprintf(gitops->clone_dir, "%s/clone.git", gitops->state_dir);
}

static void free_instance(struct gitops *gitops)
{
    git_repository_free(gitops->repo);
    if (gitops->key)
        explicit_bzero(gitops->key, strlen(gitops->key));
    free(gitops->key);
    if (gitops->token)
        explicit_bzero(gitops->token, strlen(gitops->token));
    free(gitops->token);
    free(gitops->user);
    free(gitops->remote);
    free(gitops->ref);
    free(gitops->clone_dir);
    free(gitops);
}

static const char *open_instance(struct sdk_instance *instance, void **ret_state)
{
    struct gitops *gitops = calloc(1, sizeof *gitops);
    if (!gitops)
        return "no memory";
    read_settings(instance, gitops);
    const char *why = gitops_library_start(gitops->state_dir, sdk_setting(instance, "known_hosts", NULL));
    why = why ? why : check_remote(instance, gitops);
    why = why ? why : check_paths(instance, gitops);
    why = why ? why : gitops_start(gitops);
    if (why)
        free_instance(gitops);
    else
        *ret_state = gitops;
    return why;
}

static void close_instance(void *state)
{
    if (!state)
        return;
    gitops_stop(state);
    free_instance(state);
    git_libgit2_shutdown();
}

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, gitops_call},      {"revert", STANCH_OP_PLAN, gitops_call},
    {"revert", STANCH_OP_APPLY, gitops_call},     {"revert", STANCH_OP_VERIFY, gitops_call},
    {"revert", STANCH_OP_UNDO, gitops_call},      {"revert", STANCH_OP_RECONCILE, gitops_call},
    {"freeze", STANCH_OP_PLAN, gitops_call},      {"freeze", STANCH_OP_APPLY, gitops_call},
    {"freeze", STANCH_OP_VERIFY, gitops_call},    {"freeze", STANCH_OP_UNDO, gitops_call},
    {"freeze", STANCH_OP_RECONCILE, gitops_call}, {"log", STANCH_OP_READ, gitops_call},
    {"head", STANCH_OP_READ, gitops_call},        {0},
};

static const struct sdk_plugin plugin = {.declaration = declaration,
                                         .handlers = handlers,
                                         .open = open_instance,
                                         .close = close_instance,
                                         .cancel = gitops_cancel};
STANCH_PLUGIN(plugin)
