/* scratch.h: a folder for one test: `begin` and `end` are its set-up and teardown. */
#ifndef STANCH_TESTS_BASE_SCRATCH_H
#define STANCH_TESTS_BASE_SCRATCH_H

extern char *folder;

int begin(void **state);
/** Whatever the test left in it goes, too. */
int end(void **state);

#endif
