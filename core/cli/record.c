#include "cli/room.h"
const struct stanch_cli__command stanch_cli__record_commands[] = {{0}};
