# A thread that replaces and clears the environment, which the main thread has set before.
require_relative 'job'

ENV['JOB_NAME'] = ENV['JOB_ANOTHER'] = 'initial'
worker = Worker.new
worker.run { ENV['JOB_NAME'] = 'worker' }
look('beside')
worker.run { ENV.replace('PATH' => ENV['PATH'], 'JOB_REPLACED' => 'yes') }
look('replaced')
worker.run { look('worker_replaced') }
worker.run { ENV.clear }
puts "size=#{ENV.size}"
look('cleared')
worker.run { look('worker_cleared') }
worker.end
look('joined')
