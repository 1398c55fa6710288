import type { Words } from '../words/en.ts';

/** The shape of what will come. */
export const Loading = ({ words }: { words: Words }) => (
    <div class="loading" role="status">
        <span class="unseen" id="title">
            {words.loading}
        </span>
        <span class="bone wide" />
        <span class="bone" />
        {[0, 1, 2, 3].map((row) => (
            <span class="bone-row" key={row}>
                <span class="bone tile" />
                <span class="bone" />
            </span>
        ))}
    </div>
);
