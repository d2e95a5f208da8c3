/* Threads that share the tasks of one job at a time. */
#ifndef VELORA_POOL_H
#define VELORA_POOL_H
#include <stdint.h>

typedef void (*task_function)(const void *context, int64_t task);

/* Do tasks 0 .. n_tasks - 1 on so many threads, the caller's among them; return when all are done. */
void pool_run(task_function run, const void *context, int64_t n_tasks, int64_t n_threads);
/* Begin the same on other threads; pool_wait lends a hand and returns when all are done. ``context`` must stay. */
void pool_start(task_function run, const void *context, int64_t n_tasks, int64_t n_threads);
void pool_wait(void);

#endif
