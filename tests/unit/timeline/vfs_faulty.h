/* vfs_faulty.h: a VFS for tests, over the default one.
 * Writes stay in memory until the file is synced: a process that is killed loses what was not synced, as a machine
 * without power does (a kill alone never tests the sync). And one call, some in a row or all from one on can be made to
 * fail. Shared by tests/unit/timeline and tests/campaign (io_sweep.c, faults.c: the real daemon).
 * All connections of the process see the same pending writes. Only the database and its log go through here.
 */
#ifndef TEST_TIMELINE_VFS_FAULTY_H
#define TEST_TIMELINE_VFS_FAULTY_H
#include "base/mem.h"
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum vfs_fault {
    VFS_NO_FAULT,
    VFS_WRITE_FULL,
    VFS_WRITE_ERROR,
    VFS_WRITE_TORN, /* half of it is written */
    VFS_SYNC_ERROR, /* what was not synced is lost */
    VFS_SYNC_KEPT,  /* all of it is there after all */
    VFS_SYNC_TORN,  /* the first half of it is */
    VFS_READ_ERROR,
    VFS_LOCK_BUSY,
    VFS_TRUNCATE_ERROR,
    VFS_FAULT_COUNT
};

enum vfs_call { VFS_NO_CALL, VFS_WRITE, VFS_SYNC, VFS_READ, VFS_LOCK, VFS_TRUNCATE };

struct vfs_pending {
    struct vfs_pending *next;
    sqlite3_int64 offset; /* a truncation has no bytes */
    int len;
    unsigned char *bytes;
};

struct vfs_node {
    struct vfs_node *next;
    char *path;
    sqlite3_int64 size;
    struct vfs_pending *first, **last;
};

static struct {
    pthread_mutex_t lock;
    struct vfs_node *nodes;
    sqlite3_vfs vfs, *under;
    int torn_at; /* the Nth sync of a log: half of what was written reaches the disk, then the process is killed */
    int log_syncs;
    bool lies_about_sync; /* a sync does nothing: the sabotage that the crash test must notice */
    enum vfs_fault fault;
    int fault_at;           /* the Nth such call from now fails */
    int fault_count;        /* so many in a row; 0: one */
    int *calls;             /* such calls so far; in memory that a forked child shares */
    void (*on_fault)(void); /* told right before a call fails */
    const char *full_while; /* writes that grow fail with FULL while this file exists */
} vfs = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct vfs_file {
    sqlite3_file base;
    struct vfs_node *node; /* NULL: not ours, all goes through */
    sqlite3_file *real;
};

static struct vfs_file *vfs_of(sqlite3_file *file)
{
    return (struct vfs_file *)(void *)file;
}

/* Does this call fail? Lock held, or nobody else calls. */
static bool vfs_is_due(enum vfs_call call)
{
    static const enum vfs_call calls[VFS_FAULT_COUNT] = {VFS_NO_CALL, VFS_WRITE, VFS_WRITE, VFS_WRITE, VFS_SYNC,
                                                         VFS_SYNC,    VFS_SYNC,  VFS_READ,  VFS_LOCK,  VFS_TRUNCATE};
    if (calls[vfs.fault] != call)
        return false;
    int n = __atomic_add_fetch(vfs.calls, 1, __ATOMIC_SEQ_CST);
    bool due = vfs.fault_at > 0 && n >= vfs.fault_at && n < vfs.fault_at + (vfs.fault_count ? vfs.fault_count : 1);
    if (due && vfs.on_fault)
        vfs.on_fault();
    return due;
}

static void vfs_forget(struct vfs_node *node)
{
    while (node->first) {
        struct vfs_pending *pending = node->first;
        node->first = pending->next;
        free(pending->bytes);
        free(pending);
    }
    node->last = &node->first;
}

static struct vfs_node *vfs_find(const char *path)
{
    for (struct vfs_node *node = vfs.nodes; node; node = node->next)
        if (strcmp(node->path, path) == 0)
            return node;
    return NULL;
}

__attribute__((unused)) static void vfs_forget_all(void)
{
    while (vfs.nodes) {
        struct vfs_node *node = vfs.nodes;
        vfs.nodes = node->next;
        vfs_forget(node);
        free(node->path);
        free(node);
    }
}

static int vfs_close(sqlite3_file *file)
{
    struct vfs_file *self = vfs_of(file);
    int rc = self->real->pMethods ? self->real->pMethods->xClose(self->real) : SQLITE_OK;
    free(self->real);
    return rc;
}

static int vfs_read(sqlite3_file *file, void *to, int len, sqlite3_int64 offset)
{
    struct vfs_file *self = vfs_of(file);
    if (!self->node)
        return self->real->pMethods->xRead(self->real, to, len, offset);
    if (vfs_is_due(VFS_READ))
        return SQLITE_IOERR_READ;
    pthread_mutex_lock(&vfs.lock);
    int rc = self->real->pMethods->xRead(self->real, to, len, offset);
    if (rc == SQLITE_IOERR_SHORT_READ || rc == SQLITE_OK) {
        for (struct vfs_pending *p = self->node->first; p; p = p->next) {
            sqlite3_int64 from = p->offset > offset ? p->offset : offset;
            sqlite3_int64 end = p->offset + p->len < offset + len ? p->offset + p->len : offset + len;
            if (!p->bytes && p->offset < offset + len) /* truncated from there on */
                memset((char *)to + (from - offset), 0, (size_t)(offset + len - from));
            else if (p->bytes && from < end)
                memcpy((char *)to + (from - offset), p->bytes + (from - p->offset), (size_t)(end - from));
        }
        rc = offset + len <= self->node->size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
    }
    pthread_mutex_unlock(&vfs.lock);
    return rc;
}

static void vfs_add(struct vfs_node *node, const void *bytes, int len, sqlite3_int64 offset)
{
    struct vfs_pending *pending = STANCH_NEW(struct vfs_pending);
    pending->offset = offset;
    pending->len = len;
    pending->bytes = bytes ? (unsigned char *)stanch_strndup(bytes, (size_t)len) : NULL;
    *node->last = pending;
    node->last = &pending->next;
}

static int vfs_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
    struct vfs_file *self = vfs_of(file);
    if (!self->node)
        return self->real->pMethods->xWrite(self->real, bytes, len, offset);
    int rc = SQLITE_OK;
    pthread_mutex_lock(&vfs.lock);
    bool due = vfs_is_due(VFS_WRITE);
    if (due && vfs.fault == VFS_WRITE_TORN)
        vfs_add(self->node, bytes, len / 2, offset);
    if (due && vfs.fault == VFS_WRITE_TORN && offset + len / 2 > self->node->size)
        self->node->size = offset + len / 2;
    if (due)
        rc = vfs.fault == VFS_WRITE_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    else if (vfs.full_while && offset + len > self->node->size && access(vfs.full_while, F_OK) == 0)
        rc = SQLITE_FULL;
    else {
        vfs_add(self->node, bytes, len, offset);
        if (offset + len > self->node->size)
            self->node->size = offset + len;
    }
    pthread_mutex_unlock(&vfs.lock);
    return rc;
}

static int vfs_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct vfs_file *self = vfs_of(file);
    if (!self->node)
        return self->real->pMethods->xTruncate(self->real, size);
    if (vfs_is_due(VFS_TRUNCATE))
        return SQLITE_IOERR_TRUNCATE;
    pthread_mutex_lock(&vfs.lock);
    vfs_add(self->node, NULL, 0, size);
    self->node->size = size;
    pthread_mutex_unlock(&vfs.lock);
    return SQLITE_OK;
}

/* How much of a failed sync reached the disk: M16, the commit that failed and is there after a restart. */
static int vfs_count_kept(const struct vfs_node *node)
{
    int count = 0;
    for (const struct vfs_pending *p = node->first; p; p = p->next)
        count++;
    return vfs.fault == VFS_SYNC_KEPT ? count : vfs.fault == VFS_SYNC_TORN ? count / 2 : 0;
}

/* The first `most` of what waits; the others are lost. */
static int vfs_apply(struct vfs_file *self, int most)
{
    int rc = SQLITE_OK;
    for (struct vfs_pending *p = self->node->first; p && rc == SQLITE_OK && most-- > 0; p = p->next)
        rc = p->bytes ? self->real->pMethods->xWrite(self->real, p->bytes, p->len, p->offset)
                      : self->real->pMethods->xTruncate(self->real, p->offset);
    vfs_forget(self->node);
    return rc;
}

/* The first half of the bytes, cut in the middle of a write. */
static void vfs_tear(struct vfs_file *self)
{
    int64_t bytes = 0;
    for (struct vfs_pending *p = self->node->first; p; p = p->next)
        bytes += p->len;
    bytes /= 2;
    for (struct vfs_pending *p = self->node->first; p && bytes > 0; p = p->next) {
        int len = p->len < bytes ? p->len : (int)bytes;
        if (p->bytes)
            self->real->pMethods->xWrite(self->real, p->bytes, len, p->offset);
        bytes -= len;
    }
    (void)kill(getpid(), SIGKILL);
}

static int vfs_sync(sqlite3_file *file, int flags)
{
    struct vfs_file *self = vfs_of(file);
    if (!self->node)
        return self->real->pMethods->xSync(self->real, flags);
    pthread_mutex_lock(&vfs.lock);
    int rc = SQLITE_OK;
    if (strstr(self->node->path, "-wal") && ++vfs.log_syncs == vfs.torn_at)
        vfs_tear(self);
    if (vfs_is_due(VFS_SYNC)) {
        (void)vfs_apply(self, vfs_count_kept(self->node));
        rc = SQLITE_IOERR_FSYNC;
    } else if (!vfs.lies_about_sync) {
        rc = vfs_apply(self, INT_MAX);
    }
    pthread_mutex_unlock(&vfs.lock);
    return rc; /* the real sync is left out: the kernel outlives the killed process */
}

static int vfs_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    struct vfs_file *self = vfs_of(file);
    if (!self->node)
        return self->real->pMethods->xFileSize(self->real, ret);
    pthread_mutex_lock(&vfs.lock);
    *ret = self->node->size;
    pthread_mutex_unlock(&vfs.lock);
    return SQLITE_OK;
}

#define VFS_THROUGH(name, params, call)                                                                                \
    static int name params                                                                                             \
    {                                                                                                                  \
        sqlite3_file *real = vfs_of(file)->real;                                                                       \
        return real->pMethods->call;                                                                                   \
    }
VFS_THROUGH(vfs_unlock, (sqlite3_file * file, int level), xUnlock(real, level))
VFS_THROUGH(vfs_reserved, (sqlite3_file * file, int *ret), xCheckReservedLock(real, ret))
VFS_THROUGH(vfs_sector, (sqlite3_file * file), xSectorSize(real))
VFS_THROUGH(vfs_device, (sqlite3_file * file), xDeviceCharacteristics(real))
VFS_THROUGH(vfs_shm_map, (sqlite3_file * file, int page, int size, int extend, void volatile **ret),
            xShmMap(real, page, size, extend, ret))
VFS_THROUGH(vfs_shm_unmap, (sqlite3_file * file, int drop), xShmUnmap(real, drop))

static int vfs_lock(sqlite3_file *file, int level)
{
    struct vfs_file *self = vfs_of(file);
    return vfs_is_due(VFS_LOCK) ? SQLITE_BUSY : self->real->pMethods->xLock(self->real, level);
}

static int vfs_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    struct vfs_file *self = vfs_of(file);
    bool takes = flags & SQLITE_SHM_LOCK;
    return takes && vfs_is_due(VFS_LOCK) ? SQLITE_BUSY : self->real->pMethods->xShmLock(self->real, offset, n, flags);
}

static int vfs_control(sqlite3_file *file, int op, void *arg)
{
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
        return SQLITE_OK; /* sizes are ours */
    sqlite3_file *real = vfs_of(file)->real;
    return real->pMethods->xFileControl(real, op, arg);
}

static void vfs_shm_barrier(sqlite3_file *file)
{
    sqlite3_file *real = vfs_of(file)->real;
    real->pMethods->xShmBarrier(real);
}

static const sqlite3_io_methods vfs_methods = {
    2,          vfs_close,   vfs_read,     vfs_write,       vfs_truncate,  vfs_sync,
    vfs_size,   vfs_lock,    vfs_unlock,   vfs_reserved,    vfs_control,   vfs_sector,
    vfs_device, vfs_shm_map, vfs_shm_lock, vfs_shm_barrier, vfs_shm_unmap, NULL,
    NULL};

static int vfs_open(sqlite3_vfs *self, const char *path, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)self;
    struct vfs_file *opened = vfs_of(file);
    opened->node = NULL;
    opened->real = stanch_alloc((size_t)vfs.under->szOsFile);
    int rc = vfs.under->xOpen(vfs.under, path, opened->real, flags, ret_flags);
    opened->base.pMethods = &vfs_methods;
    if (rc != SQLITE_OK || !path || !(flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)))
        return rc;
    pthread_mutex_lock(&vfs.lock);
    opened->node = vfs_find(path);
    if (!opened->node) {
        opened->node = STANCH_NEW(struct vfs_node);
        opened->node->path = stanch_strdup(path);
        opened->node->last = &opened->node->first;
        opened->node->next = vfs.nodes;
        vfs.nodes = opened->node;
        opened->real->pMethods->xFileSize(opened->real, &opened->node->size);
    }
    pthread_mutex_unlock(&vfs.lock);
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *self, const char *path, int sync)
{
    (void)self;
    pthread_mutex_lock(&vfs.lock);
    struct vfs_node *node = vfs_find(path);
    if (node) {
        vfs_forget(node);
        node->size = 0;
    }
    pthread_mutex_unlock(&vfs.lock);
    return vfs.under->xDelete(vfs.under, path, sync);
}

static void vfs_register(void)
{
    if (vfs.under)
        return;
    vfs.calls = mmap(NULL, sizeof *vfs.calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    vfs.under = sqlite3_vfs_find(NULL);
    vfs.vfs = *vfs.under;
    vfs.vfs.pNext = NULL;
    vfs.vfs.zName = "faulty";
    vfs.vfs.szOsFile = (int)sizeof(struct vfs_file);
    vfs.vfs.xOpen = vfs_open;
    vfs.vfs.xDelete = vfs_delete;
    sqlite3_vfs_register(&vfs.vfs, 0);
}

#endif
