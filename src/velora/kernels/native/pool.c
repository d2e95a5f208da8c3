#include "pool.h"

#if defined(_WIN32)

void pool_run(task_function run, const void *context, int64_t n_tasks, int64_t n_threads) {
    (void)n_threads;
    for (int64_t i = 0; i < n_tasks; i++) run(context, i);
}
int64_t pool_start(task_function run, void (*help)(const void *), const void *context, int64_t n_tasks, int64_t n_threads) {
    (void)help;
    pool_run(run, context, n_tasks, n_threads);
    return 0;
}
void pool_wait(int64_t number) { (void)number; }
void strand_work(strand *s, const int64_t *n_parts, int64_t n_phases, part_function run, const void *context, int64_t index) {
    (void)s;
    for (int64_t phase = 0; phase < n_phases; phase++)
        for (int64_t part = 0; part < n_parts[phase]; part++) run(context, index, phase, part);
}

#else

#include <pthread.h>
#include <sched.h>

#define MOST_THREADS 64

/* One job at a time, whichever thread of the process began it; the lock guards everything. Tasks are long (tens of
   microseconds), so that it is hardly ever held when another thread wants it. Before a thread sleeps it looks out for a
   while for what it waits for, since waking it up would take as long as a task; what it looks at is only a hint. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_is_there = PTHREAD_COND_INITIALIZER, job_is_done = PTHREAD_COND_INITIALIZER;
static struct {
    task_function run;
    void (*help)(const void *);
    const void *context;
    int64_t n_tasks, next, unfinished; /* unfinished: tasks, and threads that help */
    int64_t helpers;                   /* threads of the pool that may still join */
} job;
static int64_t n_workers;
static int64_t n_begun, n_done; /* jobs are numbered from 1 on; job k is done when n_done >= k */
static __thread int is_worker;

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

/* With the lock held. */
static void count_done(void) {
    __atomic_store_n(&job.unfinished, job.unfinished - 1, __ATOMIC_RELAXED);
    if (job.unfinished == 0) n_done = n_begun, pthread_cond_broadcast(&job_is_done);
}

/* Take tasks until there are none, then help with those that others do; called and left with the lock held. */
static void do_tasks(void) {
    while (job.next < job.n_tasks) {
        int64_t task = job.next++;
        task_function run = job.run;
        const void *context = job.context;
        pthread_mutex_unlock(&lock);
        run(context, task);
        pthread_mutex_lock(&lock);
        count_done();
    }
    if (!job.help || job.unfinished == 0) return;
    __atomic_store_n(&job.unfinished, job.unfinished + 1, __ATOMIC_RELAXED); /* so that the job stays while it helps */
    void (*help)(const void *) = job.help;
    const void *context = job.context;
    pthread_mutex_unlock(&lock);
    help(context);
    pthread_mutex_lock(&lock);
    count_done();
}

static void *work(void *unused) {
    (void)unused;
    is_worker = 1;
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
    n_workers = 0, n_done = n_begun;
    job.n_tasks = job.next = job.unfinished = job.helpers = 0;
}

/* With the lock held: lend a hand, and return when a job is done. */
static void finish(int64_t number) {
    if (n_done >= number) return;
    do_tasks();
    if (n_done < number) {
        pthread_mutex_unlock(&lock);
        look_out(&job.unfinished, 1);
        pthread_mutex_lock(&lock);
    }
    while (n_done < number) pthread_cond_wait(&job_is_done, &lock);
    if (number == n_begun) __atomic_store_n(&job.helpers, 0, __ATOMIC_RELAXED);
}

/* With the lock held: begin a job when those that other threads of the process began are done; return its number. */
static int64_t begin(task_function run, void (*help)(const void *), const void *context, int64_t n_tasks, int64_t n_helpers) {
    static int is_registered;
    if (!is_registered) is_registered = 1, pthread_atfork(0, 0, forget_everything);
    while (n_done < n_begun) finish(n_begun);
    if (n_helpers > MOST_THREADS) n_helpers = MOST_THREADS;
    for (; n_workers < n_helpers; n_workers++) {
        pthread_t thread;
        if (pthread_create(&thread, 0, work, 0)) break; /* fewer threads, the same results */
        pthread_detach(thread);
    }
    n_begun++;
    if (n_tasks <= 0) return n_done = n_begun;
    job.run = run, job.help = help, job.context = context, job.n_tasks = n_tasks, job.next = 0;
    __atomic_store_n(&job.unfinished, n_tasks, __ATOMIC_RELAXED);
    __atomic_store_n(&job.helpers, n_helpers, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&work_is_there);
    return n_begun;
}

static void run_here(task_function run, const void *context, int64_t n_tasks) {
    for (int64_t i = 0; i < n_tasks; i++) run(context, i);
}

void pool_run(task_function run, const void *context, int64_t n_tasks, int64_t n_threads) {
    if (n_threads <= 1 || n_tasks <= 1) {
        run_here(run, context, n_tasks);
        return;
    }
    pthread_mutex_lock(&lock);
    finish(begin(run, 0, context, n_tasks, n_threads - 1));
    pthread_mutex_unlock(&lock);
}

int64_t pool_start(task_function run, void (*help)(const void *), const void *context, int64_t n_tasks, int64_t n_threads) {
    if (n_threads <= 1) {
        run_here(run, context, n_tasks);
        return 0;
    }
    pthread_mutex_lock(&lock);
    int64_t number = begin(run, help, context, n_tasks, n_threads - 1);
    pthread_mutex_unlock(&lock);
    return number;
}

void pool_wait(int64_t number) {
    pthread_mutex_lock(&lock);
    finish(number);
    pthread_mutex_unlock(&lock);
}

/* ``begun`` in one word, so that it is read and changed at once: 24 bits for the phase, 20 for each end. */
#define FRONT_BITS 20
#define END_MASK (((uint64_t)1 << FRONT_BITS) - 1)
#define YIELD_AFTER 1000 /* looks: whoever does the missing part may be waiting for this core */

void strand_work(strand *s, const int64_t *n_parts, int64_t n_phases, part_function run, const void *context, int64_t index) {
    for (int64_t looks = 0;;) {
        uint64_t begun = __atomic_load_n(&s->begun, __ATOMIC_ACQUIRE);
        int64_t phase = (int64_t)(begun >> (2 * FRONT_BITS));
        if (phase >= n_phases) return;
        int64_t front = (int64_t)(begun >> FRONT_BITS & END_MASK), back = (int64_t)(begun & END_MASK), n = n_parts[phase];
        if (front + back >= n) { /* others do the last parts */
            if (++looks % YIELD_AFTER == 0) sched_yield();
            PAUSE();
            continue;
        }
        /* Callers and workers begin at different ends, so that each finds in its cache what it has left there. */
        uint64_t taken = begun + (is_worker ? 1 : (uint64_t)1 << FRONT_BITS);
        if (!__atomic_compare_exchange_n(&s->begun, &begun, taken, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) continue;
        run(context, index, phase, is_worker ? n - 1 - back : front);
        if (__atomic_add_fetch(&s->done, 1, __ATOMIC_ACQ_REL) < n) continue;
        __atomic_store_n(&s->done, 0, __ATOMIC_RELAXED); /* nobody looks at it before the next phase has begun */
        __atomic_store_n(&s->begun, (uint64_t)(phase + 1) << (2 * FRONT_BITS), __ATOMIC_RELEASE);
    }
}

#endif
