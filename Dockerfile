# docker build -t llm-pv .
# docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" llm-pv learn rows.csv --target y
# A key is passed on by its name: --env OPENAI_API_KEY
#
# The sandbox needs nothing that Docker's default profile does not give: no capability, no
# --privileged. `docker run --rm llm-pv doctor` says which layers are in force.
FROM python:3.13-slim AS build
ARG EXTRAS=programs,parquet,tasks,llm,baselines,report
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m venv /opt/llm-pv \
    && /opt/llm-pv/bin/pip install --no-cache-dir ".[${EXTRAS}]"

FROM python:3.13-slim
COPY --from=build /opt/llm-pv /opt/llm-pv
ENV PATH=/opt/llm-pv/bin:$PATH
# Whoever runs it may write the caches of a home, and results into /work.
RUN useradd --uid 1000 --create-home llm-pv \
    && mkdir /work \
    && chmod 1777 /home/llm-pv /work
ENV HOME=/home/llm-pv
USER 1000
WORKDIR /work
ENTRYPOINT ["llm-pv"]
CMD ["--help"]
