/* clock.c: clocks that a test moves (LD_PRELOAD). STANCH_TEST_CLOCK names a file of two 64-bit integers, nanoseconds that
 * are added to the wall clock and to the boot clock; a change counts at once. A step of the wall clock moves the first;
 * a machine that was suspended shows in both, while the monotonic clock stands still. faketime moves all clocks alike,
 * or the wall clock alone, so it cannot do the second.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

static const _Atomic int64_t none[2];
static const _Atomic int64_t *offsets = none; /* wall, boot */

__attribute__((constructor)) static void open_offsets(void)
{
    const char *path = getenv("STANCH_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = fd >= 0 ? mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (mapped != MAP_FAILED)
        offsets = mapped;
    if (fd >= 0)
        close(fd);
}

static int64_t offset_of(clockid_t id)
{
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        return atomic_load(&offsets[0]);
    return id == CLOCK_BOOTTIME ? atomic_load(&offsets[1]) : 0;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    if (syscall(SYS_clock_gettime, id, now) < 0)
        return -1;
    int64_t ns = now->tv_sec * SECOND_NS + now->tv_nsec + offset_of(id);
    now->tv_sec = ns / SECOND_NS;
    now->tv_nsec = ns % SECOND_NS;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise) < 0)
        return -1;
    *now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret)
        *ret = now.tv_sec;
    return now.tv_sec;
}
