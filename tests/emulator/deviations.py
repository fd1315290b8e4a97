"""What of the log contract an emulator, or Kinesis itself, does not do, and why; everything else must hold.

Where the rule matters on Kinesis too, a test of this folder holds it in a form that can be tried there.

kinesis-local 0.6.2 besides, where no test is lost by it:

- ListShards tells a parent's StartingSequenceNumber for a merged shard: the reader believes a record instead
  (``KinesisStreams.correct_anchor``); and the same EndingSequenceNumber for all shards, which nothing here reads.
- ListShards takes AT_TRIM_HORIZON for all shards: ``test_kinesis_trimming`` plays a list that does not.
- GetShardIterator at a number that is no record's is ResourceNotFoundException, on Kinesis InvalidArgumentException:
  both mean that the record is not there.
- MergeShards wants the lower shard first: it gets it.
- CreateStream cuts the hashes one lower than Kinesis does: nothing may depend on where.
- It never throttles, and counts no reads.

kinesalite 3.3.3 besides: it tells no children with the end of a shard, which KCL needs and boto3 does not; and it lets
a shard be split from two above its first hash on, as Kinesis's own words for a refusal have it.
"""

from __future__ import annotations

_ITS_OWN_CLOCK = "arrival times are Kinesis's, which a test cannot set: tests/emulator/test_kinesis_reading.py"
_RETENTION = "Kinesis keeps records for 24 hours at least and trims by itself: tests/emulator/test_kinesis_trimming.py"
_NUMBERS = "sequence numbers begin anew in every shard of Kinesis: pipeline/stream_logs/kinesis_numbers.py"

DEVIATIONS = {
    "test_a_reader_knows_how_far_it_is_behind": _ITS_OWN_CLOCK,
    "test_a_record_has_the_time_of_its_arrival": _ITS_OWN_CLOCK,
    "test_arrival_times_never_go_back_though_the_clock_does": _ITS_OWN_CLOCK,
    "test_reading_can_begin_at_a_time": _ITS_OWN_CLOCK,
    "test_what_was_trimmed_cannot_be_read_and_the_error_names_the_range": _RETENTION,
    "test_a_record_that_is_not_old_is_never_trimmed": _RETENTION,
    "test_a_shard_whose_records_were_all_trimmed_goes_on": _RETENTION,
    "test_sequence_numbers_increase_along_a_lineage": _NUMBERS,
    "test_a_child_is_read_from_0_although_its_sequence_numbers_begin_above": _NUMBERS,
    "test_every_lineage_of_shards_has_increasing_arrival_times_and_sequences": _NUMBERS,
}
"""Of all of them: by the name of the test, as a reason to skip it."""

_THE_END_COMES_LATER = "kinesalite tells the end of a shard up to a second after its last record"
OF_KINESALITE = {
    "test_only_the_last_record_of_a_closed_shard_ends_it": _THE_END_COMES_LATER,
    "test_a_shard_that_was_closed_empty_ends_at_once": _THE_END_COMES_LATER,
    "test_at_any_time_an_empty_shard_begins_at_its_end": "kinesalite never answers where nothing arrived since a time",
}
"""Of kinesalite alone."""
