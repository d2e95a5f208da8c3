/* Written by velora export; see policy.h. A policy on the command line:
 *
 *   ./policy            reads lines from standard input and answers each with a line: observation and dt in control
 *                       steps (1 if left out), separated by spaces, give the action; "reset" begins a new episode.
 *   ./policy selftest   computes the example steps; exit status 0 if all is well.
 */
#include "policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Read numbers; return how many, or -1 if something else stands on the line or there are more. */
static int read_numbers(const char *line, float *numbers, int most)
{
    int n = 0;
    for (;;) {
        char *end;
        line += strspn(line, " \t\r\n");
        if (*line == '\0') {
            return n;
        }
        const float number = strtof(line, &end);
        if (end == line || n == most) {
            return -1;
        }
        numbers[n++] = number;
        line = end;
    }
}

static void answer(const policy_action *action)
{
    const char *between = "";
    for (int k = 0; k < POLICY_ACTIONS; k++) {
        printf("%s@FORMAT@", between, @CAST@action[k]);
        between = " ";
    }
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static char line[64 * (POLICY_OBSERVATIONS + 2)];
    policy_state s;

    if (argc > 1 && strcmp(argv[1], "selftest") == 0) {
        const int result = policy_selftest();
        printf(result == 0   ? "selftest: fine\n"
               : result == 1 ? "selftest: wrong actions\n"
                             : "selftest: right actions, but other bits than expected; compile with -ffp-contract=off\n");
        return result;
    }
    policy_reset(&s);
    while (fgets(line, sizeof line, stdin) != NULL) {
        float numbers[POLICY_OBSERVATIONS + 1];
        policy_action action[POLICY_ACTIONS];
        if (strncmp(line, "reset", 5) == 0) {
            policy_reset(&s);
            continue;
        }
        const int n = read_numbers(line, numbers, POLICY_OBSERVATIONS + 1);
        if (n < POLICY_OBSERVATIONS) {
            fprintf(stderr, "expected %d numbers and dt, or reset; got: %s", POLICY_OBSERVATIONS, line);
            return 2;
        }
        policy_step(&s, numbers, n > POLICY_OBSERVATIONS ? numbers[POLICY_OBSERVATIONS] : 1.0f, action);
        answer(action);
    }
    return 0;
}
