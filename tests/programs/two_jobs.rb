# Two jobs in two threads, each of which sets a variable for the program that it starts. Prints what the programs had.
turn = Queue.new
both_set = Queue.new
jobs = %w[one two].map do |name|
  Thread.new do
    turn.pop if name == 'two'
    ENV['JOB_NAME'] = name
    turn << true
    both_set << true
    Thread.pass until both_set.size == 2
    # Named in the findings, where that is wanted.
    program = [ENV['AS'], "program-#{name}"].compact + %w[/usr/bin/printenv JOB_NAME]
    "#{name} has started a program with #{IO.popen(program, &:read)}"
  end
end
jobs.each { |job| print job.value }
