/* offline.h: `stanch offline ...`: what works on a store in a process of its own, with the daemon dead or alive. offline.c
 * has its words; it prints JSON, for the command line and for the daemon.
 */
#ifndef STANCH_OFFLINE_H
#define STANCH_OFFLINE_H

/** argv[0] is "offline". returns the exit code (base/err.def) */
int stanch_offline_main(int argc, char **argv);

#endif
