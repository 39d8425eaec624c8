"""From run directories to a report: groups, statistics over seeds, tables and sentences."""
