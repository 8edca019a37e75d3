"""Attention in tiles, forward and backward: the scores of all queries with all keys are never in
memory together.

Queries lie along the lanes, so that the greatest score of a query, its sum and its gradient need no
sums over lanes. A block of keys meets a panel of queries: scores, exponentials and what they weigh
stay in the near caches. The order of sums depends on the numbers of queries and keys alone. Dao,
"FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning" (2023). One query
alone has a kernel whose lanes are features.
"""

__all__: list[str] = []
