/* merge.h: many batches become one write; inside timeline/ only.
 * A document, a head or a counter that several of them change is written once, as the last one leaves it: they are
 * one transaction. Under load most batches touch the same incident.
 * Thread: the commit thread.
 */
#ifndef STANCH_TIMELINE_MERGE_H
#define STANCH_TIMELINE_MERGE_H
#include "timeline/store_ops.h"

/** Put writes together, in their order. What they point to stays theirs (borrowed); ret: the arrays are new, end with
 *  stanch_write__done. */
void stanch_write__merge(const struct stanch_write *const *writes, size_t count, struct stanch_write *ret);
void stanch_write__done(struct stanch_write *merged);

#endif
