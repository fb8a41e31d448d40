package chdb

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
)

// Config is how the engine is run.
type Config struct {
	Path        string // its data folder, made if it is missing
	Memory      int64  // bytes that the engine may have in all
	Threads     int    // threads for a statement, and for merges
	Connections int    // statements at a time, of which the last is for inserts only; others wait
}

// engineConfig is the part of ClickHouse's configuration file that differs from the defaults, which are made for big
// servers. Caches and pools are kept small so that most of the memory is for statements and merges.
type engineConfig struct {
	XMLName xml.Name `xml:"clickhouse"`

	Memory          int64 `xml:"max_server_memory_usage"`
	MergeMemory     int64 `xml:"merges_mutations_memory_usage_soft_limit"`
	MarkCache       int64 `xml:"mark_cache_size"`
	PrimaryCache    int64 `xml:"primary_index_cache_size"`
	IndexMarkCache  int64 `xml:"index_mark_cache_size"`
	UncompressedMax int64 `xml:"uncompressed_cache_size"`
	VectorCache     int64 `xml:"vector_similarity_index_cache_size"`
	CompiledCache   int64 `xml:"compiled_expression_cache_size"`

	MergeThreads  int `xml:"background_pool_size"`
	MergeRatio    int `xml:"background_merges_mutations_concurrency_ratio"`
	MoveThreads   int `xml:"background_move_pool_size"`
	FetchThreads  int `xml:"background_fetches_pool_size"`
	CommonThreads int `xml:"background_common_pool_size"`
	Schedule      int `xml:"background_schedule_pool_size"`
	MaxThreads    int `xml:"max_thread_pool_size"`
	FreeThreads   int `xml:"max_thread_pool_free_size"`

	Profile profile `xml:"profiles>default"`
	User    user    `xml:"users>default"`
	Quota   string  `xml:"quotas>default"`
	Users   string  `xml:"users_config"`

	// MergeTree settings that a table does not set itself. With free entries few, only small merges are started.
	FreeForMutation int `xml:"merge_tree>number_of_free_entries_in_pool_to_execute_mutation"`
	FreeForMerge    int `xml:"merge_tree>number_of_free_entries_in_pool_to_lower_max_size_of_merge"`
	FreeForOptimize int `xml:"merge_tree>number_of_free_entries_in_pool_to_execute_optimize_entire_partition"`
}

type profile struct {
	Threads   int   `xml:"max_threads"`
	Insert    int   `xml:"max_insert_threads"`
	Memory    int64 `xml:"max_memory_usage"`
	Spill     int64 `xml:"max_bytes_before_external_group_by"`
	SpillSort int64 `xml:"max_bytes_before_external_sort"`
	// The profilers interrupt threads by signals, which a Go process has its own use for.
	ProfileReal int `xml:"query_profiler_real_time_period_ns"`
	ProfileCPU  int `xml:"query_profiler_cpu_time_period_ns"`
}

type user struct {
	Password string `xml:"password"`
	Networks string `xml:"networks>ip"`
	Profile  string `xml:"profile"`
	Quota    string `xml:"quota"`
}

// write puts the configuration file into the data folder and returns its name.
func (c Config) write() (string, error) {
	name, err := filepath.Abs(filepath.Join(c.Path, "engine.xml"))
	if err != nil {
		return "", fmt.Errorf("find data folder: %w", err)
	}
	b, err := xml.MarshalIndent(engineConfig{
		Memory: c.Memory, MergeMemory: c.Memory / 2,
		MarkCache: c.Memory / 16, PrimaryCache: c.Memory / 16, IndexMarkCache: c.Memory / 32,
		UncompressedMax: 0, VectorCache: 1 << 20, CompiledCache: 16 << 20,
		MergeThreads: c.Threads, MergeRatio: 2, MoveThreads: 1, FetchThreads: 1, CommonThreads: 2, Schedule: 4,
		MaxThreads: 200 + 8*c.Connections, FreeThreads: 16,
		Profile:         profile{Threads: c.Threads, Insert: 1, Memory: c.Memory / 2, Spill: c.Memory / 4, SpillSort: c.Memory / 4},
		User:            user{Networks: "::/0", Profile: "default", Quota: "default"},
		Users:           name,
		FreeForMutation: 1, FreeForMerge: 1, FreeForOptimize: 1,
	}, "", "\t")
	if err != nil {
		return "", fmt.Errorf("encode engine configuration: %w", err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		return "", fmt.Errorf("write engine configuration: %w", err)
	}
	return name, nil
}
