/* serve_rehearse.h: `stanch rehearse ...`: tests and drills in a simulated world, in a process of its own; prints JSON, for the
 * command line and for the daemon. serve_rehearse.c has its words.
 */
#ifndef STANCH_SERVE_REHEARSE_H
#define STANCH_SERVE_REHEARSE_H

/** argv[0] is "rehearse". returns the exit code (base/err.def) */
int stanch_rehearse_main(int argc, char **argv);

#endif
