// A fixed set of threads that share the tasks of one job at a time.
#pragma once

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

class Pool {
 public:
  // Calls task(i) for every i in [0, tasks), on `threads` threads, the caller's among them.
  static void run(long tasks, int threads, const std::function<void(long)>& task) {
    if (threads > tasks) threads = static_cast<int>(tasks);
    if (threads <= 1) {
      for (long i = 0; i < tasks; ++i) task(i);
      return;
    }
    Pool& pool = instance();
    std::lock_guard<std::mutex> one_job(pool.job_);
    pool.share(tasks, threads, task);
  }

 private:
  static Pool& instance() {
    // Threads do not survive a fork: the child starts its own. Pools are never destroyed, so that
    // no thread outlives what it waits on while the process ends.
    static std::mutex guard;
    static Pool* pool = nullptr;
    static pid_t owner = 0;
    std::lock_guard<std::mutex> lock(guard);
    if (owner != getpid()) {
      pool = new Pool;
      owner = getpid();
    }
    return *pool;
  }

  void share(long tasks, int threads, const std::function<void(long)>& task) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (static_cast<int>(workers_.size()) < threads - 1) {
        workers_.emplace_back(&Pool::work, this, static_cast<int>(workers_.size()), round_);
        workers_.back().detach();
      }
      task_ = &task;
      tasks_ = tasks;
      next_ = 0;
      busy_ = wanted_ = threads - 1;
      ++round_;
    }
    start_.notify_all();
    drain();
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

  void work(int number, long seen) {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      start_.wait(lock, [&] { return round_ != seen; });
      seen = round_;
      if (number >= wanted_) continue;
      lock.unlock();
      drain();
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  void drain() {
    for (long i = next_++; i < tasks_; i = next_++) (*task_)(i);
  }

  std::mutex job_, mutex_;
  std::condition_variable start_, done_;
  std::vector<std::thread> workers_;
  const std::function<void(long)>* task_ = nullptr;
  std::atomic<long> next_{0};
  long tasks_ = 0, round_ = 0;
  int busy_ = 0, wanted_ = 0;
};
