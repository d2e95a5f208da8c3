/* The plant of a loop in C: what velora.drive.Plant is in Python. A file of your own with these four functions takes the
   place of mailbox.c: velora drive <checkpoint> loop=c plant=my_plant.c

   No function may wait for the hardware. One thread calls them all. */
#ifndef VELORA_PLANT_H
#define VELORA_PLANT_H

#include <stdint.h>

#include "policy.h"

enum { PLANT_BEGINS = 1, PLANT_TERMINATED = 2, PLANT_TRUNCATED = 4 };

/* Begin; 0, or -1 if the plant isn't there. */
int plant_open(void);

/* Take the newest reading that wasn't taken before: 1; there is none: 0; there will be none again: -1.
   obs: in the order and the units that the policy was trained on. time_ns: when the sensors said it, of any clock that
   goes on evenly. reward: earned since the reading before, 0 where nobody knows. flags: a sum of those above. */
int plant_read(float obs[POLICY_OBSERVATIONS], int64_t *time_ns, float *reward, uint32_t *flags);

/* Take an action, which holds until the next: 0, or -1 if it can't be taken. */
int plant_write(const policy_action action[POLICY_ACTIONS]);

/* Let go of the hardware; the safe action has been written before. */
void plant_close(void);

#endif
