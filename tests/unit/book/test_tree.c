/* test_tree.c: commits that are refused whole (PROMISES.md D11), each made by git itself; the good one stays. */
#include "world.h"
#include "book/names.h"

static void assert_refused(struct world *world, const char *text)
{
    int before = world->candidates;
    assert_int_equal(sync_now(world), STANCH_E_REFUSED);
    if (!strstr(world->sync_err.text, text))
        fail_msg("\"%s\" does not say \"%s\"", world->sync_err.text, text);
    assert_int_equal(world->candidates, before);
    assert_int_equal(world->fault.code, STANCH_E_REFUSED);
    assert_string_equal(world->commit, line_of(world, "git -C repo rev-parse HEAD"));
    sh(world, "cd repo; git reset -q --hard HEAD~1 || git update-ref refs/heads/main HEAD~1");
    assert_int_equal(sync_now(world), 0); /* the accepted one is still served */
}

/* A commit of a tree that git's porcelain would not make. */
static void commit_tree(struct world *world, const char *make_tree)
{
    sh(world,
       "cd repo; blob=$(printf x | git hash-object -w --stdin); tree=$(%s); "
       "git update-ref refs/heads/main $(git commit-tree -p HEAD -m crafted $tree)",
       make_tree);
}

static void symbolic_links(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    sh(world, "cd repo; ln -s /etc/passwd evil.lua; git add -A; git commit -qm link");
    assert_refused(world, "evil.lua: is a symbolic link");
}

static void submodules(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    commit_tree(world, "printf '160000 commit %s\\tpart\\n' $(git rev-parse HEAD) | git mktree --missing");
    assert_refused(world, "part: is a submodule");
}

static void names_that_climb(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    commit_tree(world, "printf '100644 blob %s\\t..\\n' $blob | git mktree");
    assert_refused(world, "climbs");
}

static void names_with_backslash_or_control_characters(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    commit_tree(world, "printf '100644 blob %s\\ta\\\\b.lua\\0' $blob | git mktree -z");
    assert_refused(world, "backslash");
    commit_tree(world, "printf '100644 blob %s\\ta\\033b.lua\\0' $blob | git mktree -z");
    assert_refused(world, "control character");
    commit_tree(world, "printf '100644 blob %s\\ta\\377b.lua\\0' $blob | git mktree -z");
    assert_refused(world, "UTF-8");
}

/* One entry of a tree, byte by byte: git itself refuses to write these names. */
#define RAW_TREE(name)                                                                                                 \
    "/usr/bin/python3 -c \"import sys; sys.stdout.buffer.write(b'100644 " name                                         \
    "' + bytes(1) + bytes.fromhex('$blob'))\" | git hash-object -t tree -w --stdin --literally"

static void an_empty_name_and_a_slash(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    commit_tree(world, RAW_TREE("../../evil.lua"));
    assert_refused(world, "slash");
    commit_tree(world, RAW_TREE(""));
    assert_int_not_equal(sync_now(world), 0); /* git's library cannot parse it: told as unreadable */
    assert_int_equal(world->candidates, 1);
}

static void names_that_differ_in_case_only(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    sh(world, "cd repo; mkdir lib; echo 1 >lib/Edge.lua; echo 2 >lib/edge.lua; git add -A; git commit -qm case");
    assert_refused(world, "differ in case only");
}

static void files_that_are_too_large(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    sh(world, "cd repo; head -c 131073 /dev/zero >big.lua; git add -A; git commit -qm big");
    assert_refused(world, "big.lua: is larger than 128 KiB");
    sh(world, "cd repo; head -c 17000000 /dev/zero >picture.png; git add -A; git commit -qm picture");
    assert_refused(world, "picture.png: with it the files are more than 16 MiB");
}

static void many_files(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    sh(world, "cd repo; mkdir m n; for i in $(seq 600); do echo >m/$i.txt; echo >n/$i.txt; done; git add -A; "
              "git commit -qm many");
    assert_refused(world, "1,000 files");
    commit_tree(world, "for i in $(seq 100000); do printf '100644 blob %s\\t%s.lua\\n' $blob $i; done | git mktree");
    assert_refused(world, "more than 1,000 files");
}

static void deep_folders(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    commit_tree(world, "t=$(printf '100644 blob %s\\tx.lua\\n' $blob | git mktree); "
                       "for i in $(seq 40); do t=$(printf '040000 tree %s\\td\\n' $t | git mktree); done; echo $t");
    assert_refused(world, "16 deep");
}

static void only_the_folder_counts(void **state)
{
    struct world *world = *state;
    sh(world, "cd repo; ln -s / outside; mkdir -p ops/runbooks; echo -n in >ops/runbooks/in.lua; git add -A; git "
              "commit -qm x");
    world->config.folder = "/ops/runbooks/";
    start_and_accept(world);
    assert_string_equal(world->files, "in.lua=in;");
    sh(world, "cd repo; git rm -qr ops; git commit -qm gone");
    assert_int_equal(sync_now(world), STANCH_E_NOT_FOUND);
    assert_non_null(strstr(world->sync_err.text, "no folder \"ops/runbooks\""));
}

static void objects_that_do_not_verify(void **state)
{
    struct world *world = *state;
    start_and_accept(world);
    commit_file(world, "checkout.lua", "the honest text");
    sh(world,
       "cd repo; id=$(git rev-parse HEAD:checkout.lua); f=.git/objects/$(echo $id | cut -c1-2)/$(echo $id | cut -c3-); "
       "other=$(printf 'another text' | git hash-object -w --stdin); "
       "g=.git/objects/$(echo $other | cut -c1-2)/$(echo $other | cut -c3-); chmod u+w $f; cp $g $f");
    assert_int_not_equal(sync_now(world), 0);
    assert_int_equal(world->candidates, 1);
    assert_int_equal(world->faults, 1);
}

static void credentials_are_cut_out(void **state)
{
    (void)state;
    char text[] = "https://bob:s3cret@host/x: failed with s3cret for ssh://git@other/y";
    stanch_names_scrub(text, "https://bob:s3cret@host/x");
    assert_string_equal(text, "https://host/x: failed with  for ssh://other/y");
    char plain[] = "/srv/git/x@y: no such file";
    stanch_names_scrub(plain, "/srv/git/x@y");
    assert_string_equal(plain, "/srv/git/x@y: no such file");
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(symbolic_links),
        WITH_WORLD(submodules),
        WITH_WORLD(names_that_climb),
        WITH_WORLD(names_with_backslash_or_control_characters),
        WITH_WORLD(an_empty_name_and_a_slash),
        WITH_WORLD(names_that_differ_in_case_only),
        WITH_WORLD(files_that_are_too_large),
        WITH_WORLD(many_files),
        WITH_WORLD(deep_folders),
        WITH_WORLD(only_the_folder_counts),
        WITH_WORLD(objects_that_do_not_verify),
        cmocka_unit_test(credentials_are_cut_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
