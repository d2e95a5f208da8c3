/* Threads that share the tasks of one job at a time. */
#ifndef VELORA_POOL_H
#define VELORA_POOL_H
#include <stdint.h>

typedef void (*task_function)(const void *context, int64_t task);

/* Do tasks 0 .. n_tasks - 1 on so many threads, the caller's among them; return when all are done. */
void pool_run(task_function run, const void *context, int64_t n_tasks, int64_t n_threads);
/* Begin the same on other threads, and return the number of this job; pool_wait lends a hand and returns when that job
   is done, whichever jobs other threads of the process begin. ``context`` must stay until then. A thread that finds all
   tasks begun calls ``help``, to take part in those that aren't done. */
int64_t pool_start(task_function run, void (*help)(const void *context), const void *context, int64_t n_tasks,
                   int64_t n_threads);
void pool_wait(int64_t number);

/* Work in phases, one after another, whose parts any number of threads may do. All zero before it begins. */
typedef struct {
    uint64_t begun; /* the phase, and how many of its parts have been taken from the front and from the back */
    int64_t done;   /* parts of the phase */
    char rest_of_line[48];
} strand;

typedef void (*part_function)(const void *context, int64_t index, int64_t phase, int64_t part);

/* Do parts of a strand until all its phases are done, by this thread and by all others that call this.

   n_parts: of each phase, at least one. */
void strand_work(strand *s, const int64_t *n_parts, int64_t n_phases, part_function run, const void *context, int64_t index);

#endif
