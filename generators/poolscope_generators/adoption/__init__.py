"""The page about real applications that adopt poolscope: records, outcomes and document."""
