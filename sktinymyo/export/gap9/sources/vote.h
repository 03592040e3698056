/* The vote of the images of a window; votes.py of sktinymyo has the rule in words. */
#ifndef VOTE_H
#define VOTE_H

#include <stdint.h>

void vote_begin(void);

/* The logits of the next image, in units of 2**-16. */
void vote_add(const int32_t *logits);

/* Scores of the classes in units of 2**-30; the class is the first of the largest. */
void vote_end(int32_t *scores);

#endif
