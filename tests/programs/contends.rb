# Two threads that disagree about a variable: what each reads, and what the programs that it starts are given.
NAME = 'JOB_NAME'

def printed(*command)
  IO.popen(command, &:read).chomp
end

def spawned(*arguments)
  reader, writer = IO.pipe
  pid = Process.spawn(*arguments, out: writer)
  writer.close
  text = reader.read.chomp
  Process.wait(pid)
  text
end

def look
  program = ['/usr/bin/printenv', NAME]
  {
    get: ENV[NAME],
    fetch: ENV.fetch(NAME),
    popen: printed(*program),
    more: printed({ 'JOB_OTHER' => 'other' }, *program),
    own: printed({ NAME => 'own' }, *program),
    less: printed({ NAME => nil }, *program),
    emptied: printed(*program, unsetenv_others: true),
    spawn: spawned(*program),
    spawn_more: spawned({ 'JOB_OTHER' => 'other' }, *program),
    backticks: `/usr/bin/printenv #{NAME}`.chomp,
    shell: `echo "$#{NAME}"`.chomp,
    system: system("exit ${#{NAME}#*-}").inspect + $?.exitstatus.to_s,
    forked: IO.popen('-') { |child| child ? child.read.chomp : exec(*program) }
  }
end

queues = Hash.new { |all, name| all[name] = Queue.new }
done = Queue.new
threads = %w[one-1 two-2].map do |value|
  inbox = queues[value]
  Thread.new do
    inbox.pop
    ENV[NAME] = value
    done << true
    inbox.pop
    done << look
    inbox.pop
  end
end
ENV[NAME] = 'initial'
queues.each_value { |inbox| inbox << :set; done.pop }
queues.each do |value, inbox|
  inbox << :look
  done.pop.each { |way, found| puts "#{value[0, 3]}_#{way}=#{found}" }
end
queues.each_value { |inbox| inbox << :end }
threads.each(&:join)
