"""Mutated messages for every decoder: ``make fuzz``, and a short run of it in the tests.

Whatever comes, a decoder gives a value or the one exception that it documents, in bounded time, and keeps
nothing. What it accepts is the same after it was encoded and decoded again. Where Python and JavaScript have
the same decoder, both accept the same bytes and find the same in them.
"""
