#include "pool.h"

#if defined(_WIN32)

void pool_run(task_function run, const void *context, int64_t n_tasks, int64_t n_threads) {
    (void)n_threads;
    for (int64_t i = 0; i < n_tasks; i++) run(context, i);
}
void pool_start(task_function run, const void *context, int64_t n_tasks, int64_t n_threads) {
    pool_run(run, context, n_tasks, n_threads);
}
void pool_wait(void) {}

#else

#include <pthread.h>

#define MOST_THREADS 64

/* One job at a time; the lock guards everything. Tasks are long (tens of microseconds), so that it is hardly ever held
   when another thread wants it. Before a thread sleeps it looks out for a while for what it waits for, since waking it
   up would take as long as a task; what it looks at is only a hint. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_is_there = PTHREAD_COND_INITIALIZER, job_is_done = PTHREAD_COND_INITIALIZER;
static struct {
    task_function run;
    const void *context;
    int64_t n_tasks, next, unfinished, helpers; /* helpers: threads of the pool that may still join */
} job;
static int64_t n_workers;

#define LOOKS 3000 /* about 50 microseconds */

#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

/* Without the lock: look at ``number`` until it is zero, or isn't, or for long enough. */
static void look_out(const int64_t *number, int until_zero) {
    for (int i = 0; i < LOOKS && (__atomic_load_n(number, __ATOMIC_RELAXED) == 0) != until_zero; i++) PAUSE();
}

/* Take tasks until there are none; called and left with the lock held. */
static void do_tasks(void) {
    while (job.next < job.n_tasks) {
        int64_t task = job.next++;
        task_function run = job.run;
        const void *context = job.context;
        pthread_mutex_unlock(&lock);
        run(context, task);
        pthread_mutex_lock(&lock);
        __atomic_store_n(&job.unfinished, job.unfinished - 1, __ATOMIC_RELAXED);
        if (job.unfinished == 0) pthread_cond_broadcast(&job_is_done);
    }
}

static void *work(void *unused) {
    (void)unused;
    for (;;) {
        look_out(&job.helpers, 0);
        pthread_mutex_lock(&lock);
        while (job.helpers == 0) pthread_cond_wait(&work_is_there, &lock);
        __atomic_store_n(&job.helpers, job.helpers - 1, __ATOMIC_RELAXED);
        do_tasks();
        pthread_mutex_unlock(&lock);
    }
    return 0;
}

/* A forked child has none of its parent's threads, and perhaps a job that nobody goes on with. */
static void forget_everything(void) {
    static const pthread_mutex_t fresh_lock = PTHREAD_MUTEX_INITIALIZER;
    static const pthread_cond_t fresh_condition = PTHREAD_COND_INITIALIZER;
    lock = fresh_lock;
    work_is_there = job_is_done = fresh_condition;
    n_workers = 0;
    job.n_tasks = job.next = job.unfinished = job.helpers = 0;
}

/* With the lock held. */
static void wake(task_function run, const void *context, int64_t n_tasks, int64_t n_helpers) {
    static int is_registered;
    if (!is_registered) is_registered = 1, pthread_atfork(0, 0, forget_everything);
    if (n_helpers > MOST_THREADS) n_helpers = MOST_THREADS;
    for (; n_workers < n_helpers; n_workers++) {
        pthread_t thread;
        if (pthread_create(&thread, 0, work, 0)) break; /* fewer threads, the same results */
        pthread_detach(thread);
    }
    job.run = run, job.context = context, job.n_tasks = n_tasks, job.next = 0;
    __atomic_store_n(&job.unfinished, n_tasks, __ATOMIC_RELAXED);
    __atomic_store_n(&job.helpers, n_helpers, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&work_is_there);
}

/* With the lock held. */
static void finish(void) {
    do_tasks();
    if (job.unfinished > 0) {
        pthread_mutex_unlock(&lock);
        look_out(&job.unfinished, 1);
        pthread_mutex_lock(&lock);
    }
    while (job.unfinished > 0) pthread_cond_wait(&job_is_done, &lock);
    __atomic_store_n(&job.helpers, 0, __ATOMIC_RELAXED);
}

void pool_run(task_function run, const void *context, int64_t n_tasks, int64_t n_threads) {
    if (n_threads <= 1 || n_tasks <= 1) {
        for (int64_t i = 0; i < n_tasks; i++) run(context, i);
        return;
    }
    pthread_mutex_lock(&lock);
    finish(); /* what another thread of the process began */
    wake(run, context, n_tasks, n_threads - 1);
    finish();
    pthread_mutex_unlock(&lock);
}

void pool_start(task_function run, const void *context, int64_t n_tasks, int64_t n_threads) {
    if (n_threads <= 1) {
        for (int64_t i = 0; i < n_tasks; i++) run(context, i);
        return;
    }
    pthread_mutex_lock(&lock);
    finish();
    wake(run, context, n_tasks, n_threads - 1);
    pthread_mutex_unlock(&lock);
}

void pool_wait(void) {
    pthread_mutex_lock(&lock);
    finish();
    pthread_mutex_unlock(&lock);
}

#endif
