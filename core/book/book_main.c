/* book_main.c: the process `stanch book`: answers one question, again and again, on descriptor 3.
 *
 *   {"t":"fetch","repo_dir","url","branch","folder","allow_rewrite","accepted":hex|null,"refused":hex|null}
 *     -> {"t":"current","commit"}                  the branch is at the accepted (or the refused) commit
 *     -> {"t":"candidate","commit","summary","author","commit_at_ms","files":[{"path","len"}],"other_files"} + bytes
 *     -> {"t":"fault","code","text","commit"?}
 *
 * It keeps nothing between two questions but the open clone, so it can be killed at any time.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "book/book.h"
#include "book/names.h"
#include "book/remote.h"
#include "book/tree.h"
#include "wire/frame.h"
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHANNEL       3
#define MAX_MEMORY    (1ul << 30)
#define MAX_FILE_SIZE (512ul << 20)
#define MAX_OPEN      256ul

struct process {
    git_repository *repo;
    char *repo_dir;
};

struct answer {
    json_t *head;
    struct stanch_tree tree;
};

static void limit(__rlimit_resource_t what, rlim_t value)
{
    struct rlimit both = {value, value};
    if (setrlimit(what, &both) < 0)
        stanch_log(STANCH_LOG_WARN, "book", "a limit could not be set limit=%d", (int)what);
}

void stanch_book__harden(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, MAX_FILE_SIZE);
    limit(RLIMIT_NOFILE, MAX_OPEN);
#ifndef STANCH_ASAN /* the sanitizer reserves terabytes of addresses */
    limit(RLIMIT_AS, MAX_MEMORY);
#endif
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)umask(077);
}

static int open_clone(struct process *self, const char *repo_dir, struct stanch_err *err)
{
    if (self->repo && strcmp(self->repo_dir, repo_dir) == 0 && access(repo_dir, R_OK) == 0)
        return 0;
    git_repository_free(self->repo);
    free(self->repo_dir);
    self->repo = NULL;
    self->repo_dir = stanch_strdup(repo_dir);
    return stanch_remote_open(repo_dir, &self->repo, err);
}

static int judge_head(struct process *self, const git_oid *head, const json_t *ask, struct answer *ret,
                      struct stanch_err *err)
{
    char hex[GIT_OID_HEXSZ + 1];
    git_oid_tostr(hex, sizeof hex, head);
    const char *accepted = stanch_json_str(ask, "accepted", NULL);
    const char *refused = stanch_json_str(ask, "refused", NULL);
    if ((accepted && strcmp(accepted, hex) == 0) || (refused && strcmp(refused, hex) == 0)) {
        ret->head = json_pack("{s:s,s:s}", "t", "current", "commit", hex);
        return 0;
    }
    if (accepted && !stanch_json_bool(ask, "allow_rewrite", false)) {
        int rc = stanch_remote_check_follows(self->repo, head, accepted, err);
        if (rc < 0)
            return rc;
    }
    git_commit *commit = NULL;
    if (git_commit_lookup(&commit, self->repo, head) < 0)
        return stanch_remote__git_err(err, STANCH_E_CORRUPT, "", "commit %.12s could not be read", hex);
    int rc = stanch_tree_candidate(commit, stanch_json_str(ask, "folder", ""), &ret->tree, &ret->head, err);
    git_commit_free(commit);
    return rc;
}

static int answer_fetch(struct process *self, const json_t *ask, struct answer *ret, char ret_commit[],
                        struct stanch_err *err)
{
    int rc = open_clone(self, stanch_json_str(ask, "repo_dir", ""), err);
    if (rc < 0)
        return rc;
    git_oid head;
    rc = stanch_remote_fetch(self->repo, stanch_json_str(ask, "url", ""), stanch_json_str(ask, "branch", ""), &head,
                             err);
    if (rc < 0)
        return rc;
    git_oid_tostr(ret_commit, GIT_OID_HEXSZ + 1, &head);
    return judge_head(self, &head, ask, ret, err);
}

static int answer_frame(struct process *self, const json_t *ask, struct stanch_err *err)
{
    struct answer answer = {0};
    struct stanch_err why = {0};
    char commit[GIT_OID_HEXSZ + 1] = "";
    if (answer_fetch(self, ask, &answer, commit, &why) < 0) {
        STANCH_AUTO_FREE char *text = stanch_names_clean_text(why.text);
        answer.head = json_pack("{s:s,s:s,s:s}", "t", "fault", "code", stanch_err_word(why.code), "text", text);
        stanch_json_set_str(answer.head, "commit", *commit ? commit : NULL);
        stanch_buf_clear(&answer.tree.bytes);
    }
    int rc = stanch_frame_send(CHANNEL, answer.head, answer.tree.bytes.data, answer.tree.bytes.len, err);
    json_decref(answer.head);
    stanch_tree_done(&answer.tree);
    return rc;
}

int stanch_book_main(void)
{
    stanch_book__harden();
    struct process self = {0};
    struct stanch_err err = {0};
    struct stanch_frame_reader reader = {0};
    int rc = stanch_remote_init(&err);
    while (rc == 0) {
        struct stanch_frame frame;
        rc = stanch_frame_receive(CHANNEL, &reader, &frame, &err);
        if (rc <= 0)
            break;
        rc = answer_frame(&self, frame.head, &err);
        stanch_frame_done(&frame);
    }
    if (rc < 0)
        stanch_log(STANCH_LOG_ERROR, "book", "ending: %s", err.text);
    stanch_frame_reader_done(&reader);
    git_repository_free(self.repo);
    free(self.repo_dir);
    git_libgit2_shutdown();
    return rc < 0 ? 1 : 0;
}
