#!/bin/bash
#SBATCH --job-name=llm-pv
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
#SBATCH --signal=B:INT@120
# A Ray cluster for the length of one Slurm job, and a grid on it: sbatch examples/cluster/slurm.sh
# Submit it again to go on where it was left.
set -euo pipefail

source "${LLM_PV_VENV:-$HOME/llm-pv}/bin/activate"  # the same environment on every node
out="${LLM_PV_OUT:-$PWD/runs/grid}"                 # written by this node alone
port=6379
export OMP_NUM_THREADS=1

head=$(hostname)
address="$(hostname --ip-address | cut -d ' ' -f 1):$port"
others=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | grep -v -x "$head" || true)

srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
    ray start --head --port="$port" --num-cpus="$SLURM_CPUS_PER_TASK" \
    --include-dashboard=false --block &
until ray health-check --address "$address" 2>/dev/null; do sleep 2; done
for node in $others; do
    srun --overlap --nodes=1 --ntasks=1 --nodelist="$node" \
        ray start --address="$address" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
done

llm-pv synthesize --ray "$address" --trials 5 --out "$out" &
grid=$!
trap 'kill -INT "$grid"' INT TERM  # two minutes before the end: stop cleanly
status=0
wait "$grid" || status=$?
while kill -0 "$grid" 2>/dev/null; do wait "$grid" || status=$?; done
ray stop
exit "$status"
