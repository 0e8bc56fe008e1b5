"""Archive: how `ground batch` scales with its workers."""
