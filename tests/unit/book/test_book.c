/* test_book.c: clone, follow, sync, faults that are told once, and a process that may die. */
#include "world.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void clones_and_hands_over_the_files(void **state)
{
    struct world *world = *state;
    commit_file(world, "lib/edge.lua", "two");
    commit_file(world, "README.md", "no runbook");
    start_and_accept(world);
    assert_string_equal(world->files, "checkout.lua=one;lib/edge.lua=two;");
    assert_string_equal(world->commit, line_of(world, "git -C repo rev-parse HEAD"));
    assert_string_equal(world->summary, "change README.md");
    assert_string_equal(world->author, "Ada");
    struct stat info;
    assert_int_equal(stat(world->clone, &info), 0);
    assert_int_equal(info.st_mode & 077, 0);
}

static void an_address_may_be_a_file_url(void **state)
{
    struct world *world = *state;
    (void)snprintf(world->url, sizeof world->url, "file://%s/repo", world->dir);
    start_and_accept(world);
    assert_string_equal(world->files, "checkout.lua=one;");
}

static void sync_follows_a_fast_forward(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    assert_int_equal(sync_now(world), 0);
    assert_int_equal(world->currents, 1);
    commit_file(world, "checkout.lua", "second");
    assert_int_equal(sync_now(world), 0);
    assert_int_equal(world->candidates, 2);
    assert_string_equal(world->files, "checkout.lua=second;");
    assert_int_equal(world->faults, 0);
}

static void polling_follows_by_itself(void **state)
{
    struct world *world = *state;
    world->config.poll_ms = 20;
    start_and_accept(world);
    commit_file(world, "checkout.lua", "polled");
    wait_for(world, &world->candidates, 2);
    assert_string_equal(world->files, "checkout.lua=polled;");
}

static void the_accepted_commit_is_not_offered_again(void **state)
{
    struct world *world = *state;
    char head[65];
    (void)snprintf(head, sizeof head, "%s", line_of(world, "git -C repo rev-parse HEAD"));
    world->config.accepted = head;
    start_book(world);
    wait_for(world, &world->currents, 1);
    assert_int_equal(world->candidates, 0);
    assert_string_equal(world->commit, head);
}

static void a_refused_commit_is_not_offered_again(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    world->verdict = REFUSE;
    commit_file(world, "checkout.lua", "broken");
    assert_int_equal(sync_now(world), 0);
    assert_int_equal(world->candidates, 2);
    assert_int_equal(sync_now(world), STANCH_E_REFUSED);
    assert_non_null(strstr(world->sync_err.text, "does not lint"));
    assert_int_equal(world->candidates, 2);
    assert_int_equal(world->faults, 0); /* core refused it: it knows */
    world->verdict = ACCEPT;
    commit_file(world, "checkout.lua", "mended");
    assert_int_equal(sync_now(world), 0);
    assert_int_equal(world->candidates, 3);
    assert_int_equal(sync_now(world), 0);
    assert_int_equal(world->currents, 1);
}

static void a_sync_waits_for_the_judgement(void **state)
{
    struct world *world = *state;
    world->verdict = LATER;
    start_and_accept(world);
    char first[65];
    (void)snprintf(first, sizeof first, "%s", world->commit);
    commit_file(world, "checkout.lua", "next");
    struct stanch_err err;
    assert_int_equal(stanch_book_sync(world->book, NULL, NULL, &err), 0); /* never called: the book is freed */
    stanch_loop_run_once(world->loop);
    assert_int_equal(world->candidates, 1);
    stop_book(world);
}

static void rewritten_history_is_refused_once(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    char old[65];
    (void)snprintf(old, sizeof old, "%s", world->commit);
    sh(world, "cd repo; printf other >checkout.lua; git commit -qa --amend -m rewritten");
    assert_int_equal(sync_now(world), STANCH_E_REFUSED);
    assert_int_equal(sync_now(world), STANCH_E_REFUSED);
    assert_int_equal(world->faults, 1);
    assert_int_equal(world->fault.code, STANCH_E_REFUSED);
    assert_non_null(strstr(world->fault.text, "not a fast-forward from"));
    old[12] = 0;
    assert_non_null(strstr(world->fault.text, old));
    assert_string_equal(world->commit, line_of(world, "git -C repo rev-parse HEAD"));
    assert_int_equal(world->candidates, 1);
}

static void a_history_of_its_own_is_refused(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    sh(world, "rm -rf repo; git init -q -b main repo");
    commit_file(world, "checkout.lua", "of another");
    assert_int_equal(sync_now(world), STANCH_E_REFUSED);
    sh(world, "rm -rf state"); /* even when the clone that knew the old one is lost */
    assert_int_equal(sync_now(world), STANCH_E_REFUSED);
    assert_int_equal(world->candidates, 1);
}

static void rewritten_history_is_followed_when_allowed(void **state)
{
    struct world *world = *state;
    world->config.allow_rewrite = true;
    start_and_accept(world);
    sh(world, "cd repo; printf other >checkout.lua; git commit -qa --amend -m rewritten");
    assert_int_equal(sync_now(world), 0);
    assert_string_equal(world->files, "checkout.lua=other;");
}

static void an_empty_repository_and_a_missing_branch_are_not_found(void **state)
{
    struct world *world = *state;
    sh(world, "mv repo full; git init -q -b main repo");
    start_book(world);
    wait_for(world, &world->faults, 1);
    assert_int_equal(world->fault.code, STANCH_E_NOT_FOUND);
    assert_non_null(strstr(world->fault.text, "empty"));
    sh(world, "rm -rf repo; mv full repo; git -C repo branch -m trunk");
    assert_int_equal(sync_now(world), STANCH_E_NOT_FOUND);
    assert_non_null(strstr(world->sync_err.text, "no branch \"main\""));
    assert_int_equal(world->faults, 2);
    sh(world, "git -C repo branch -m main");
    assert_int_equal(sync_now(world), 0);
    assert_int_equal(world->candidates, 1);
}

static void away_is_told_once_and_back_is_told(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    sh(world, "mv repo gone");
    assert_int_equal(sync_now(world), STANCH_E_UNREACHABLE);
    assert_int_equal(sync_now(world), STANCH_E_UNREACHABLE);
    assert_int_equal(world->faults, 1);
    assert_non_null(strstr(world->fault.text, world->url));
    sh(world, "mv gone repo");
    assert_int_equal(sync_now(world), 0);
    assert_int_equal(world->currents, 1);
    sh(world, "mv repo gone");
    assert_int_equal(sync_now(world), STANCH_E_UNREACHABLE);
    assert_int_equal(world->faults, 2);
}

static void no_credential_is_shown(void **state)
{
    struct world *world = *state;
    world->config.url = "http://ada:hunter2@127.0.0.1:1/runbooks.git";
    start_book(world);
    wait_for(world, &world->faults, 1);
    assert_int_equal(world->fault.code, STANCH_E_UNREACHABLE);
    assert_non_null(strstr(world->fault.text, "127.0.0.1"));
    assert_null(strstr(world->fault.text, "hunter2"));
    assert_null(strstr(world->fault.text, "ada"));
}

static int process_of_book(struct world *world)
{
    char command[200];
    (void)snprintf(command, sizeof command, "pgrep -P %d -f 'stanc[h] book' || echo 0", (int)getpid());
    return (int)strtol(line_of(world, command), NULL, 10);
}

static void a_killed_process_is_replaced(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    int pid = process_of_book(world);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    commit_file(world, "checkout.lua", "after");
    int rc = sync_now(world); /* the death may be seen before the question or in place of its answer */
    if (rc == STANCH_E_CRASHED) {
        assert_int_equal(world->fault.code, STANCH_E_CRASHED);
        rc = sync_now(world);
    }
    assert_int_equal(rc, 0);
    assert_string_equal(world->files, "checkout.lua=after;");
    assert_int_not_equal(process_of_book(world), pid);
}

/* A server that takes connections and never answers: a fetch from it is under way until something ends it. */
static int start_silent_server(struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(silent, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(silent, 4), 0);
    assert_int_equal(getsockname(silent, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(world->url, sizeof world->url, "http://127.0.0.1:%d/x.git", ntohs(address.sin_port));
    return silent;
}

/* A process that was killed while it wrote leaves git's lock files; the next one is the only writer. */
static void locks_of_a_killed_process_are_taken_away(void **state)
{
    struct world *world = *state;
    sh(world,
       "mkdir -p state/clone/refs/heads && touch state/clone/config.lock state/clone/HEAD.lock"); /* killed while it made the clone */
    start_and_accept(world);
    stop_book(world);
    sh(world, "touch state/clone/config.lock state/clone/packed-refs.lock && find state/clone/refs -type d -exec touch "
              "'{}/x.lock' ';'"
              " && for ref in $(find state/clone/refs -type f ! -name '*.lock'); do touch $ref.lock; done");
    commit_file(world, "checkout.lua", "second");
    world->candidates = 0;
    start_and_accept(world);
    assert_string_equal(world->files, "checkout.lua=second;");
    assert_int_equal(world->faults, 0);
}

static void a_process_that_dies_in_the_middle_is_a_fault(void **state)
{
    struct world *world = *state;
    int silent = start_silent_server(world);
    start_book(world); /* the first question is under way */
    int pid = process_of_book(world);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    wait_for(world, &world->faults, 1);
    assert_int_equal(world->fault.code, STANCH_E_CRASHED);
    assert_non_null(strstr(world->fault.text, "signal 9"));
    int next = 0;
    for (int i = 0; i < 3000 && next == 0; i++) { /* by itself, after the back-off */
        stanch_loop_run_once(world->loop);
        usleep(10000);
        next = process_of_book(world);
    }
    assert_true(next > 0 && next != pid);
    close(silent);
}

static void a_fetch_over_its_deadline_is_given_up(void **state)
{
    struct world *world = *state;
    int silent = start_silent_server(world);
    world->config.deadline_ms = 200;
    start_book(world);
    wait_for(world, &world->faults, 1);
    assert_int_equal(world->fault.code, STANCH_E_UNREACHABLE);
    assert_non_null(strstr(world->fault.text, "longer than 200 ms"));
    for (int i = 0; i < 500 && process_of_book(world); i++) /* killed; the loop reaps it */
        stanch_loop_run_once(world->loop);
    assert_int_equal(process_of_book(world), 0);
    close(silent);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(clones_and_hands_over_the_files),
        WITH_WORLD(an_address_may_be_a_file_url),
        WITH_WORLD(sync_follows_a_fast_forward),
        WITH_WORLD(polling_follows_by_itself),
        WITH_WORLD(the_accepted_commit_is_not_offered_again),
        WITH_WORLD(a_refused_commit_is_not_offered_again),
        WITH_WORLD(a_sync_waits_for_the_judgement),
        WITH_WORLD(rewritten_history_is_refused_once),
        WITH_WORLD(a_history_of_its_own_is_refused),
        WITH_WORLD(rewritten_history_is_followed_when_allowed),
        WITH_WORLD(an_empty_repository_and_a_missing_branch_are_not_found),
        WITH_WORLD(away_is_told_once_and_back_is_told),
        WITH_WORLD(no_credential_is_shown),
        WITH_WORLD(a_killed_process_is_replaced),
        WITH_WORLD(locks_of_a_killed_process_are_taken_away),
        WITH_WORLD(a_process_that_dies_in_the_middle_is_a_fault),
        WITH_WORLD(a_fetch_over_its_deadline_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
